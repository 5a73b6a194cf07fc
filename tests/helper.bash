# What the tests of the programs share. Every .bats file loads it.
#
# Checks here are soft: they say what is wrong (with the name of the program
# that $case holds) and go on; teardown then fails the test. So one run shows
# every program that misbehaves, not the first.
#
#   try CMD...          run it, at most 20 s: $status, stdout in $OUT, stderr in $ERR
#   refused CODE CMD... try, and check that it failed as programs here fail
#   says TEXT           stderr of the last try has TEXT
#   ok CMD...           try, and check that it ended with 0
bats_require_minimum_version 1.5.0

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$TESTS")
export LC_ALL=C PATH="${BIN:-$ROOT/bin}:$PATH" PYTHONPATH=$TESTS PYTHONDONTWRITEBYTECODE=1
unset MSAE_CPU
LIMIT=20
case="" problems=0
[[ -z ${BATS_TEST_TMPDIR:-} ]] || OUT=$BATS_TEST_TMPDIR/.stdout ERR=$BATS_TEST_TMPDIR/.stderr

problem() {
	problems=$((problems + 1))
	tr -cd '[:print:]\n' <<<"${case:+[$case] }$*"
}

teardown() {
	((problems == 0)) || { echo "$problems wrong"; return 1; }
}

# What the last try said, for messages.
heard() { head -c 400 "$ERR" | tr -cd '[:print:]\n'; }

bounded() {
	timeout -k 2 "$LIMIT" "$@"
}

try() {
	last="$*"
	status=0
	bounded "$@" >"$OUT" 2>"$ERR" || status=$?
}

# status_is CODE...: one of them.
status_is() {
	local code
	for code; do
		[[ $status == "$code" ]] && return
	done
	problem "status $status, expected $*: $last: $(heard)"
}

says() {
	grep -qF -e "$1" "$ERR" || problem "stderr has no \"$1\": $last: $(heard)"
}

silent() {
	[[ ! -s $ERR ]] || problem "stderr should be empty: $last: $(heard)"
}

# NAME: what: why, one line, and nothing else, on stderr.
one_line() {
	local name=${1##*/}
	[[ $(wc -l <"$ERR") -eq 1 ]] && grep -qE "^$name: [^ ].*[:;] ?[^ ]" "$ERR" ||
		problem "stderr should be one line \"$name: what: why\": $last: $(heard)"
}

refused() {
	local code=$1
	shift
	try "$@"
	status_is "$code"
	one_line "$1"
}

ok() {
	try "$@"
	status_is 0
}

# same FILE FILE: the same bytes.
same() {
	cmp -s "$1" "$2" || problem "$1 and $2 differ: ${last:-}"
}

# whole FILE [ROWS]: a stream that is whole, of so many rows.
whole() {
	local said
	said=$(bounded frames --check -i "$1" 2>&1) || problem "$1 is not whole: $said"
	[[ -z ${2:-} || $said == *" $2 rows"* ]] || problem "$1: $said; $2 rows were expected"
}

# Python with numpy and msgpack, if there is one: call it from setup_file.
pick_python() {
	local p
	PYTHON=
	for p in python3 /usr/bin/python3; do
		if "$p" -c 'import numpy, msgpack' 2>/dev/null; then
			PYTHON=$p
			break
		fi
	done
	export PYTHON
}

need_python() {
	[[ -n ${PYTHON:-} ]] || skip "no python3 with numpy and msgpack"
}

# py ARGS... <<'E': a script that may say `from sae import *`.
py() {
	bounded "$PYTHON" - "$@" || problem "python said no (status $?)"
}

sae() {
	bounded "$PYTHON" "$TESTS/sae.py" "$@" || problem "sae.py $*: no"
}

# small_world [ROWS [BATCH [DIM [CONCEPTS]]]]: what most tests live in, in the
# current directory:
#   m.msae names.json      a model of 8 inputs and 12 latents, and their names
#   raw.sae x.sae z.sae    40 rows in 3 frames: planted, normalised, encoded
#   zx.sae named.sae       z.sae with x, with names
#   raw.npy ids.txt        the same rows as files
#   labels.txt two.probe   a label of two for each row, and a probe of them
small_world() {
	local rows=${1:-40}
	plant-embeddings --rows "$rows" --dim "${3:-8}" --concepts "${4:-12}" --active 3 --seed 5 -b "${2:-16}" --truth m.msae --names names.json -o raw.sae
	normalize -m m.msae -i raw.sae -o x.sae
	sae-encode -m m.msae -i x.sae -o z.sae
	sae-encode -m m.msae --keep -i x.sae -o zx.sae
	concept-score -c names.json -i z.sae -o named.sae
	write-embeddings -i raw.sae raw.npy
	seq -f 'row-%.0f' 0 $((rows - 1)) >ids.txt
	seq "$rows" | sed 's/.*[1-5]$/low/; s/.*[0-9]$/high/' >labels.txt
	read-embeddings raw.npy --labels labels.txt | probe --fit two.probe --l2 1 >/dev/null
}

# split_frames FILE DIR: every frame of a stream as DIR/0, DIR/1, ...
split_frames() {
	local i=0 line
	mkdir -p "$2"
	frames --text --rows -i "$1" >"$2/text"
	while IFS= read -r line; do
		frames --pack <<<"$line" >"$2/$i"
		i=$((i + 1))
	done <"$2/text"
	rm "$2/text"
}
