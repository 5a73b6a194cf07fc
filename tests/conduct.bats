# The same checks over every program. A case is a command that runs on the
# small world; `each` runs a check on every case of the kinds named, with
#   cmd   the command as an array      in    its standard input (/dev/null: none)
#   name  the program                  kind  filter, text, source, or model (writes
#                                            a file of its own)

load helper

# kind | command | standard input
CASES='
filter | normalize -m m.msae                 | raw.sae
filter | normalize --fit                     | raw.sae
filter | normalize --l2                      | raw.sae
filter | normalize --undo                    | x.sae
filter | sae-encode -m m.msae                | x.sae
filter | sae-encode -m m.msae -k 3 --keep    | x.sae
filter | topk -k 2                           | z.sae
filter | topk -k 2 --batch                   | z.sae
filter | topk -k 3 --abs --column x          | x.sae
filter | sae-decode -m m.msae                | z.sae
filter | sae-decode -m m.msae --keep         | z.sae
filter | concept-score -c names.json         | z.sae
text   | concept-score -c names.json --json  | z.sae
filter | steer -c names.json --set zebra=3   | z.sae
filter | steer -m m.msae --keep-residual --scale 1=0 | zx.sae
text   | concept-search -c names.json -q zebra-#1 -n 5 | z.sae
text   | concept-search --like raw.npy -n 3 --json | x.sae
text   | sae-eval -m m.msae --no-cknna       | x.sae
text   | sae-eval -m m.msae --no-cknna --progressive --json | raw.sae
model  | sae-eval -m m.msae --state /dev/null | x.sae
filter | probe --apply two.probe             | x.sae
text   | bias-audit -m m.msae -c names.json -p two.probe | x.sae
text   | bias-audit -m m.msae -p two.probe --sweep 3=0:2:3 --json | zx.sae
text   | bias-audit -m m.msae -p two.probe --csv | z.sae
text   | concept-score -c names.json --csv   | z.sae
text   | concept-score -c names.json -m m.msae --text --top 3 | zx.sae
text   | report                              | named.sae
text   | report --json                       | named.sae
text   | report --text --html /dev/null      | named.sae
text   | write-embeddings -                  | x.sae
text   | frames                              | z.sae
text   | frames --text --rows                | z.sae
text   | frames --check                      | z.sae
model  | sae-train --latents 16 --nesting 4,16 --batch 16 --steps 3 -o /dev/null | raw.sae
model  | name-concepts -m m.msae -o /dev/null | raw.sae
model  | name-concepts -m m.msae --data raw.npy -o /dev/null | raw.sae
source | read-embeddings raw.npy             | /dev/null
source | plant-embeddings --rows 40 --dim 8  | /dev/null
source | frames --pack -i z.txt              | /dev/null
'
PROGRAMS='read-embeddings plant-embeddings normalize sae-train sae-encode topk sae-decode sae-eval sae-align sae-convert probe name-concepts concept-score report write-embeddings frames farm work steer concept-search bias-audit'

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	frames --text --rows -i z.sae -o z.txt
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# each CHECK KIND...
each() {
	local check=$1 line kinds=" ${*:2} "
	while IFS='|' read -r kind line in; do
		kind=${kind// /} in=${in// /}
		[[ $kinds == *" ${kind:-none} "* ]] || continue
		read -ra cmd <<<"$line"
		case="${cmd[*]}" name=${cmd[0]}
		"$check"
	done <<<"$CASES"
	case=
}

# Those of the cases whose command matches, or does not match, an expression.
like() { [[ "${cmd[*]}" =~ $1 ]]; }

# feed FILE: the case's command, reading FILE instead of its input.
feed() { "${cmd[@]}" <"$1"; }

every_program() {
	for name in $PROGRAMS; do
		case=$name
		"$1"
	done
	case=
}

# ---- what a program says of itself ----

@test "--help goes to standard output" {
	check() {
		ok "$name" --help
		silent
		grep -q '^Usage: ' "$OUT" && grep -q '^Example:' "$OUT" || problem "no Usage: or no Example:"
		grep -q "^$name - " "$OUT" || problem "does not begin with its name"
		! grep -nE '.{101}' "$OUT" || problem "lines longer than 100 columns"
		cp "$OUT" "$T/help"
		ok "$name" -h
		same "$OUT" "$T/help"
	}
	every_program check
}

@test "--version and -V" {
	check() {
		ok "$name" --version
		grep -qE "^$name \(msae\) [0-9]+\.[0-9]+\.[0-9]+$" "$OUT" || problem "says $(cat "$OUT")"
		ok "$name" -V
	}
	every_program check
}

@test "--man is a manual page with every option" {
	check() {
		ok "$name" --man
		[[ $(head -n 1 "$OUT") == ".TH "* ]] || problem "does not begin with .TH"
		cp "$OUT" "$T/man"
		ok "$name" --list-options
		while read -r option; do
			grep -qF -e "${option//-/\\-}" "$T/man" || problem "the manual has no $option"
		done <"$OUT"
		if command -v man >/dev/null; then
			said=$(LC_ALL=C man --warnings=all -E ascii -l "$T/man" 2>&1 >/dev/null) || true
			[[ -z $said ]] || problem "man: $said"
		fi
	}
	every_program check
}

@test "every option of the help is in the list for the shell" {
	check() {
		"$name" --help | grep -oE '^ {2,6}(-[a-zA-Z], )?--[a-z0-9-]+' | grep -oE -e '--[a-z0-9-]+' | sort >"$T/help"
		"$name" --list-options | grep '^--' | sort >"$T/list"
		same "$T/help" "$T/list"
	}
	every_program check
}

@test "the driver knows every program, and they all are here" {
	msae --list | sort >"$T/list"
	tr ' ' '\n' <<<"$PROGRAMS" | sort >"$T/here"
	same "$T/list" "$T/here"
	for f in "$ROOT"/filters/*.c; do
		basename "$f" .c
	done | grep -vx msae | sort >"$T/built"
	same "$T/built" "$T/here"
	refused 64 msae nonsense
	refused 64 msae --nonsense
	ok msae help topk
	grep -q '^Usage: topk' "$OUT"
	ok msae --help
	ok msae --version
	[[ $(head -n 1 "$OUT") == "msae "[0-9]* ]]
	try msae
	status_is 64
}

# ---- command lines that make no sense ----

@test "unknown options and bad arguments are 64" {
	check() {
		refused 64 "$name" --no-such-option </dev/null
		says "--no-such-option"
		refused 64 "$name" -Z </dev/null
		refused 64 "$name" -t </dev/null
		refused 64 "$name" -t many </dev/null
		refused 64 "$name" -t -1 </dev/null
		refused 64 "$name" -t 99999999999999999999 </dev/null
		refused 64 "$name" --max-frame </dev/null
		refused 64 "$name" --max-frame 12parsecs </dev/null
		refused 64 "$name" --max-frame 0 </dev/null
		refused 64 "$name" --help=yes </dev/null
	}
	every_program check
}

@test "operands nobody asked for are 64" {
	check() {
		like '^(read|write)-' || refused 64 "${cmd[@]}" surplus <"$in"
	}
	each check filter text source
}

@test "what a program needs, it says" {
	for case in sae-encode sae-decode topk concept-score concept-search read-embeddings write-embeddings normalize; do
		refused 64 "$case" <x.sae
		says "try: $case --help"
	done
	case=
}

# ---- input that is not there, or not a stream ----

@test "missing input files are 66" {
	check() {
		refused 66 "${cmd[@]}" -i no/such/file
		says no/such/file
	}
	each check filter text model
	for case in "read-embeddings no/such/file" "normalize -m no/such/file" "normalize --stats no/such/file" \
		"steer -c no/such/file" "concept-search -q a -c no/such/file" "concept-search -q a --words no/such/file" "concept-search --like no/such/file" \
		"concept-search -Q no/such/file" "bias-audit -p no/such/file" "bias-audit -m no/such/file" "bias-audit -c no/such/file" "sae-encode -m no/such/file" "sae-decode -m no/such/file" "concept-score -c no/such/file" \
		"read-embeddings raw.npy --ids no/such/file" "frames --pack -i no/such/file"; do
		refused 66 $case <x.sae
		says no/such/file
	done
	case=
}

@test "a directory is no input" {
	check() {
		refused "66 74" "${cmd[@]}" -i .
	}
	status_is() { [[ " $1 " == *" $status "* ]] || problem "status $status, expected $1: $last: $(cat "$ERR")"; }
	each check filter text model
}

@test "-i FILE and standard input are the same" {
	check() {
		feed "$in" >"$T/a"
		"${cmd[@]}" -i "$in" >"$T/b"
		same "$T/a" "$T/b"
		"${cmd[@]}" -i - <"$in" >"$T/c"
		same "$T/a" "$T/c"
	}
	each check filter text
}

@test "input that trickles in is the same input" {
	check() {
		feed "$in" >"$T/a"
		dd if="$in" bs=7 2>/dev/null | "${cmd[@]}" >"$T/b"
		same "$T/a" "$T/b"
	}
	each check filter text model
}

@test "truncated streams are 65, wherever the cut is" {
	check() {
		local d size head cut
		d=$T/split-$in
		[[ -d $d ]] || split_frames "$in" "$d"
		size=$(wc -c <"$in") head=$(wc -c <"$d/0")
		# in the head, behind it, in rows, behind one rows frame, before the end, in it, before its last byte
		for cut in 5 40 "$head" $((head + 9)) $((head + $(wc -c <"$d/1") / 2)) $((head + $(wc -c <"$d/1"))) \
			$((size - $(wc -c <"$d/4"))) $((size - 3)) $((size - 1)); do
			head -c "$cut" "$in" >"$T/cut"
			case="${cmd[*]} (cut at $cut of $size)"
			refused 65 "${cmd[@]}" <"$T/cut"
			says "standard input"
		done
	}
	each check filter text model
}

@test "foreign bytes are 65" {
	printf 'a text, not a stream\n' >"$T/text"
	printf '{"sae":1,"kind":"head"}\n' >"$T/json"
	seed=1
	for ((i = 0; i < 500; i++)); do
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		printf "\\x$(printf %02x $((seed >> 16 & 255)))"
	done >"$T/random"
	head -c 100 /dev/zero >"$T/zeros"
	cp raw.npy "$T/npy"
	cp m.msae "$T/model"
	gzip -c x.sae >"$T/gzip"
	: >"$T/nothing"
	printf '\xdd\x10\x00\x00\x00' >"$T/array"
	printf '\x82\xa3sae\x01\xa4kind\xdd\xff\xff\xff\xff' >"$T/claims"
	printf '\x83\xa3sae\x01\xa4kind\xa4rows\xa1x\xc6\xff\xff\xff\xff1234' >"$T/huge"
	printf '\x82\xa3sae\x02\xa4kind\xa4head' >"$T/version"
	check() {
		local f
		for f in text json random zeros npy model gzip nothing array claims huge version; do
			case="${cmd[*]} ($f)"
			refused 65 "${cmd[@]}" <"$T/$f"
		done
		case="${cmd[*]}"
		refused 65 "${cmd[@]}" <"$T/npy"
		says "read-embeddings"
	}
	each check filter text model
}

@test "standard input that is closed is no stream" {
	check() {
		status=0 last="$case <&-"
		bounded "${cmd[@]}" <&- >"$OUT" 2>"$ERR" || status=$?
		status_is 65 74
		one_line "$name"
	}
	each check filter text model
}

@test "an error frame from the stage before is an error here" {
	check() {
		status=0
		head -c -1 "$in" | "${cmd[@]}" >"$T/failed" 2>/dev/null || status=$?
		status_is 65
		refused 65 frames --check <"$T/failed"
		says "$name failed: "
		! tail -c 60 "$T/failed" | grep -aq 'kind.end' || problem "an end frame was written"
	}
	each check filter
}

# ---- terminals, closed and full outputs ----

tty() { # CMD: run by a shell with a terminal for what is not redirected
	status=0 last=$1
	timeout -k 2 "$LIMIT" script -qec "$1" /dev/null </dev/null >"$OUT" 2>&1 || status=$?
	cp "$OUT" "$ERR"
}

@test "binary is not written to a terminal" {
	command -v script >/dev/null || skip "no script(1)"
	check() {
		tty "${cmd[*]} < $in"
		status_is 64
		says "$name: "
		says "terminal"
	}
	each check filter source
	in=x.sae name=write-embeddings case="write-embeddings -" cmd=(write-embeddings -)
	check
}

@test "binary is written to a terminal with --force" {
	command -v script >/dev/null || skip "no script(1)"
	tty "topk -k 2 --force < z.sae"
	status_is 0
}

@test "text is written to a terminal" {
	command -v script >/dev/null || skip "no script(1)"
	check() {
		like '^write' && return
		tty "${cmd[*]} < $in"
		status_is 0
	}
	each check text
}

@test "a terminal is no input" {
	command -v script >/dev/null || skip "no script(1)"
	check() {
		tty "${cmd[*]} 2>&1 >$T/binary"
		status_is 64
		says "$name: "
		says "terminal"
	}
	each check filter text model
}

@test "a closed standard output is 74" {
	check() {
		status=0 last="$case >&-"
		bounded "${cmd[@]}" <"$in" >&- 2>"$ERR" || status=$?
		status_is 74
		one_line "$name"
	}
	each check filter text source model
	for name in $PROGRAMS; do
		cmd=("$name" --help) case="$name --help" in=/dev/null
		check
	done
	case=
}

@test "a full disk is 74" {
	[[ -c /dev/full ]] || skip "no /dev/full"
	check() {
		status=0 last="$case >/dev/full"
		bounded "${cmd[@]}" <"$in" >/dev/full 2>"$ERR" || status=$?
		status_is 74
		one_line "$name"
		says "No space left"
	}
	each check filter text source model
	for name in $PROGRAMS; do
		cmd=("$name" --help) case="$name --help" in=/dev/null
		check
	done
	case=
}

@test "-o /dev/full is 74" {
	[[ -c /dev/full ]] || skip "no /dev/full"
	check() {
		like '^write' && return
		refused 74 "${cmd[@]}" -o /dev/full <"$in"
	}
	each check filter text source
}

# A pipe whose reader is gone before the first byte, whatever the timing.
@test "a reader that went away ends a program by SIGPIPE, silently" {
	mkfifo "$T/pipe"
	check() {
		local how
		for how in default ignored; do
			exec 8<>"$T/pipe"
			exec 9>"$T/pipe"
			exec 8<&-
			case="$case ($how)" status=0 last="$case"
			(
				[[ $how == default ]] || trap '' PIPE
				exec timeout -k 2 "$LIMIT" "${cmd[@]}" <"$in" >&9 2>"$ERR" 9>&-
			) || status=$?
			exec 9>&-
			status_is 141
			silent
		done
	}
	each check filter text source
}

# ---- streams as they come ----

@test "a stream without rows is a stream" {
	for f in raw.sae x.sae z.sae zx.sae named.sae; do
		split_frames "$f" "$T/$f"
		frames --text --rows -i "$f" | sed -n '1p;$s/"frames":[0-9]*,"rows":[0-9]*,"sum":"[^"]*"/"frames":0,"rows":0/p' | frames --pack >"$T/empty-$f"
		whole "$T/empty-$f" 0
	done
	check() {
		like '^sae-eval|^bias-audit' && return # nothing to measure: 65
		ok "${cmd[@]}" <"$T/empty-$in"
		[[ $kind != filter ]] || whole "$OUT" 0
	}
	each check filter text
	read-embeddings raw.npy --limit 0 >"$T/out0"
	whole "$T/out0" 0
	plant-embeddings --rows 0 --dim 8 >"$T/out0"
	whole "$T/out0" 0
}

@test "a stream of one row is a stream" {
	read-embeddings raw.npy --limit 1 >"$T/raw.sae"
	normalize -m m.msae -i "$T/raw.sae" -o "$T/x.sae"
	sae-encode -m m.msae -i "$T/x.sae" -o "$T/z.sae"
	sae-encode -m m.msae --keep -i "$T/x.sae" -o "$T/zx.sae"
	concept-score -c names.json -i "$T/z.sae" -o "$T/named.sae"
	check() {
		like '^bias-audit' && return # one row is no two groups: 65
		ok "${cmd[@]}" <"$T/$in"
		[[ $kind != filter ]] || whole "$OUT" 1
	}
	each check filter text
}

# Enough rows and latents that there is work to share out, and odd widths, so
# that loops of vectors have tails.
wide_world() {
	mkdir "$T/world"
	cd "$T/world"
	small_world 300 200 19 1301
	frames --text --rows -i z.sae -o z.txt
}

@test "the same bytes for every number of threads" {
	wide_world
	check() {
		"${cmd[@]}" -t 1 <"$in" >"$T/1"
		for t in 2 3 8; do
			"${cmd[@]}" -t $t <"$in" >"$T/t"
			last="$case -t $t"
			same "$T/t" "$T/1"
		done
		feed "$in" >"$T/t"
		last=$case
		same "$T/t" "$T/1"
	}
	each check filter text source
}

@test "the same bytes for every instruction set" {
	wide_world
	check() {
		MSAE_CPU=plain feed "$in" >"$T/plain"
		for cpu in avx2 avx512 avx512vnni; do
			try env MSAE_CPU=$cpu "${cmd[@]}" <"$in"
			[[ $status != 64 ]] || continue # not on this machine
			status_is 0
			last="MSAE_CPU=$cpu $case"
			same "$OUT" "$T/plain"
		done
	}
	each check filter text source
}

@test "the same rows whatever the frames" {
	need_python
	for f in raw.sae x.sae z.sae zx.sae named.sae; do
		for b in 1 7 512; do
			sae rebatch $f "$T/$b-$f" $b
			whole "$T/$b-$f" 40
		done
	done
	check() {
		# says how many frames came, or prints them
		! like '^(frames|report)|--batch' || return 0
		feed "$in" >"$T/whole"
		for b in 1 7 512; do
			last="$case, frames of $b rows"
			feed "$T/$b-$in" >"$T/cut"
			if [[ $kind == text ]]; then
				same "$T/cut" "$T/whole"
			elif [[ $name == sae-encode ]]; then
				sae same "$T/cut" "$T/whole" 1e-5
			else
				sae same "$T/cut" "$T/whole"
			fi
		done
	}
	each check filter text
	for b in 1 7 512; do
		read-embeddings raw.npy --ids ids.txt -b $b >"$T/read"
		sae same "$T/read" raw.sae
		plant-embeddings --rows 40 --dim 8 --concepts 12 --active 3 --seed 5 -b $b >"$T/planted"
		sae same "$T/planted" raw.sae
		report --json -i "$T/$b-named.sae" | grep -vE '"(frames|bytes|stream)"' >"$T/report"
		report --json -i named.sae | grep -vE '"(frames|bytes|stream)"' >"$T/report0"
		same "$T/report" "$T/report0"
	done
}

@test "two streams one after another are a stream" {
	check() {
		like '--fit|^write|^report|^sae-eval|^concept-search|^bias-audit|--check|--csv|--text --top' && return
		cat "$in" "$in" >"$T/two"
		feed "$in" >"$T/one"
		feed "$T/two" >"$T/out"
		cat "$T/one" "$T/one" >"$T/expected"
		same "$T/out" "$T/expected"
	}
	each check filter text
	for f in raw x z; do
		cat $f.sae $f.sae >"$T/$f"
	done
	whole "$T/z" 80
	frames --check -i "$T/z" | grep -q '^whole: 2 streams' || problem "not two streams"
	normalize --fit -i "$T/raw" -o "$T/out"
	whole "$T/out" 80
	write-embeddings -i "$T/x" "$T/x.npy"
	[[ $(($(wc -c <"$T/x.npy") % 2560)) == 128 ]] || problem "write-embeddings: not 80 rows of 8"
	report --json -i "$T/z" | grep -q '"streams": 2' || problem "report: not two streams"
}

@test "what a program does not know, it passes on" {
	need_python
	for f in raw.sae x.sae z.sae zx.sae; do
		sae strange $f "$T/$f"
		whole "$T/$f" 40
	done
	check() {
		ok "${cmd[@]}" <"$T/$in"
		[[ $kind == filter ]] || return 0
		whole "$OUT" 40
		sae strange-in "$T/$in" "$OUT"
	}
	each check filter
	CASES='text | report | z.sae
text | write-embeddings - | x.sae
text | frames --text --rows | z.sae
text | concept-score -c names.json --json | z.sae' each check text
	frames --text --rows -i "$T/z.sae" | frames --pack >"$T/again"
	sae strange-in "$T/z.sae" "$T/again"
}

# ---- provenance ----

count_prov() { frames -i "$1" | head -n 1 | grep -o '"program":' | wc -l; }

@test "every stage adds one provenance entry" {
	check() {
		like '^frames' && return
		feed "$in" >"$T/out"
		before=0
		[[ $in == /dev/null ]] || before=$(count_prov "$in")
		[[ $(count_prov "$T/out") == $((before + 1)) ]] || problem "has $(count_prov "$T/out") entries, $((before + 1)) were expected"
		frames -i "$T/out" | head -n 1 | grep -qE "\"program\":\"$name\",\"version\":\"[0-9.]+\",\"command\":\"$name" || problem "no entry of its own"
	}
	each check filter source
}

@test "--no-prov adds none" {
	check() {
		like '^frames' && return
		"${cmd[@]}" --no-prov <"$in" >"$T/out"
		before=0
		[[ $in == /dev/null ]] || before=$(count_prov "$in")
		[[ $(count_prov "$T/out") == "$before" ]] || problem "has $(count_prov "$T/out") entries, $before were expected"
	}
	each check filter source
}

@test "provenance has what decides about rows, quoted for a shell" {
	cp m.msae "$T/it's a model"
	normalize -m "$T/it's a model" -t 1 -i raw.sae -q --status "$T/status" -o "$T/out"
	frames -i "$T/out" | head -n 1 >"$T/head"
	grep -qF "\"command\":\"normalize --model='$T/it'\\\\''s a model'\"" "$T/head" || problem "$(grep -o '"command":"normalize.*' "$T/head" | head -c 200)"
}

# ---- limits ----

@test "--max-frame cuts what would be larger" {
	cd "$T"
	small_world 200 200
	cut() { # SIZE: the last output, in frames of no more than that
		cp "$OUT" out
		whole out 200
		[[ $(frames -i out | grep -c '"kind":"rows"') -gt 1 ]] || problem "one frame"
		ok frames --check -i out --max-frame "$1"
	}
	check() {
		size=$(($(wc -c <"$in") + 64))
		"${cmd[@]}" <"$in" >one
		ok "${cmd[@]}" --max-frame $size <"$in"
		cut $size
		[[ -z $PYTHON ]] || sae same out one
	}
	CASES='
filter | sae-encode -m m.msae --keep | x.sae
filter | sae-decode -m m.msae --keep | z.sae
filter | topk -k 6 --column x        | x.sae
filter | normalize --l2              | raw.sae' each check filter
	check() {
		ok "${cmd[@]}" --max-frame 1024
		cut 1024
	}
	CASES='
source | plant-embeddings --rows 200 --dim 8 -b 200 | /dev/null
source | read-embeddings raw.npy                    | /dev/null' each check source
}

@test "a frame beyond --max-frame is refused" {
	cd "$T"
	small_world 200 200
	check() {
		refused 65 "${cmd[@]}" --max-frame 4K <"$in"
		says "4096"
		says "--max-frame"
	}
	each check filter text model
}

# ---- status ----

@test "--status FILE is written, at the end at the latest" {
	check() {
		rm -f "$T/status"
		"${cmd[@]}" --status "$T/status" <"$in" >"$T/out"
		grep -qF "msae_state{program=\"$name\",state=\"done\"} 1" "$T/status" || problem "no state in --status: $(cat "$T/status")"
		side=in
		[[ $kind != source ]] || side=out
		like '^frames --pack' || grep -qF "msae_rows_total{program=\"$name\",side=\"$side\"} 40" "$T/status" || problem "no 40 rows in --status"
		! grep -vE '^(# TYPE msae_[a-z_]+ (counter|gauge)|msae_[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.e+-]+)$' "$T/status" || problem "not Prometheus' text"
		rm -f "$T/status"
		[[ $kind == source ]] && return
		head -c 300 "$in" | "${cmd[@]}" --status "$T/status" >"$T/out" 2>/dev/null || true
		grep -qF "state=\"failed\"" "$T/status" || problem "a failure is not in --status"
	}
	each check filter text source model
}

@test "-v says what went through, -q nothing" {
	check() {
		try "${cmd[@]}" -v <"$in"
		status_is 0
		[[ $(cat "$ERR") =~ ^$name:\ [0-9]+\ rows,\ [^$'\n']*$ ]] || problem "says \"$(heard)\""
		like '^concept-search' && quiet=--quiet || quiet=-q # there -q is for the query
		try "${cmd[@]}" $quiet <"$in"
		status_is 0
		silent
	}
	each check filter text source model
}

@test "programs are silent when all is well" {
	check() {
		ok "${cmd[@]}" <"$in"
		silent
	}
	each check filter text source model
}

# ---- files and signals ----

# Nothing but what is named is in the directory of outputs.
only_there() {
	local found
	found=$(cd "$D" && ls -A)
	[[ $found == "${*:-}" ]] || problem "left in the directory: $found"
}

@test "-o FILE is what standard output would be" {
	D=$T/dir
	mkdir "$D"
	check() {
		like '^write' && return
		feed "$in" >"$T/out"
		ok "${cmd[@]}" -o "$D/file" <"$in"
		[[ ! -s $OUT ]] || problem "wrote to standard output too"
		same "$D/file" "$T/out"
		only_there file
		chmod 600 "$D/file"
		rm "$D/file"
		(umask 027 && "${cmd[@]}" -o "$D/file" <"$in")
		[[ $(ls -l "$D/file") == -rw-r-----* ]] || problem "umask is not heeded: $(ls -l "$D/file")"
		rm "$D/file"
	}
	each check filter text source
}

@test "a stream can be changed in place" {
	topk -k 2 -i z.sae -o "$T/expected"
	cp z.sae "$T/file"
	ok topk -k 2 -i "$T/file" -o "$T/file"
	same "$T/file" "$T/expected"
}

@test "-o FILE does not appear when something fails" {
	D=$T/dir
	mkdir "$D"
	check() {
		like '^write' && cmd=(write-embeddings) out=("$D/file") || out=(-o "$D/file")
		head -c -1 "$in" >"$T/cut"
		refused 65 "${cmd[@]}" "${out[@]}" <"$T/cut"
		only_there
		echo old >"$D/file"
		refused 65 "${cmd[@]}" "${out[@]}" <"$T/cut"
		only_there file
		[[ $(cat "$D/file") == old ]] || problem "what was there is gone"
		rm "$D/file"
	}
	each check filter text
	for case in "read-embeddings $T/nan.npy" "frames --pack -i $T/cut.txt"; do
		cp raw.npy "$T/nan.npy"
		printf '\x00\x00\xc0\x7f' | dd of="$T/nan.npy" bs=1 seek=1000 conv=notrunc 2>/dev/null
		{ head -n 2 z.txt; echo '{"broken'; } >"$T/cut.txt"
		refused 65 $case -o "$D/file"
		only_there
	done
	case=
}

@test "-o where nothing can be made is 73" {
	check() {
		like '^write' && cmd=(write-embeddings) o= || o=-o
		refused 73 "${cmd[@]}" $o "$T/no/such/dir/file" <"$in"
		says "no/such/dir/file"
		refused 73 "${cmd[@]}" $o "$T" <"$in"
		says directory
	}
	each check filter text source
}

# The status file appears with the first frame; only then the signal is sent.
# (frames, which looks at frames by itself, gets it whenever.) --foreground,
# since timeout would otherwise send it twice, and twice means at once.
stop_with() { # SIGNAL CODE
	local pid i
	rm -f "$T/status" "$T/pipe"
	mkfifo "$T/pipe"
	like '^write' && cmd=(write-embeddings) out=("$D/file") || out=(-o "$D/file")
	timeout --foreground -k 2 "$LIMIT" "${cmd[@]}" "${out[@]}" --status "$T/status" <"$T/pipe" >"$OUT" 2>"$ERR" 3>&- &
	pid=$!
	exec 9>"$T/pipe"
	head -c $(($(wc -c <"$in") - 40)) "$in" >&9
	for ((i = 0; i < 1000; i++)); do
		[[ ! -e $T/status && $name != frames ]] || break
		sleep 0.01
	done
	last="kill -$1 $case" status=0
	kill -"$1" $pid
	wait $pid || status=$?
	exec 9>&-
	status_is "$2"
	[[ $name == frames ]] || grep -qE "^$name: .*stopped" "$ERR" || problem "does not say that it was stopped: $(heard)"
	only_there
}

@test "SIGTERM ends with 143 and leaves nothing" {
	D=$T/dir
	mkdir "$D"
	check() {
		like '--fit' && return # reads all before it writes: nothing to see
		stop_with TERM 143
	}
	each check filter text
}

@test "SIGINT ends with 130 and leaves nothing" {
	D=$T/dir
	mkdir "$D"
	check() { stop_with INT 130; }
	CASES='filter | topk -k 2 | z.sae' each check filter
}

@test "a source stopped by SIGTERM writes an error in place of an end" {
	check() {
		local pid
		rm -f "$T/pipe"
		mkfifo "$T/pipe"
		timeout --foreground -k 2 "$LIMIT" "${cmd[@]}" >"$T/pipe" 2>"$ERR" 3>&- &
		pid=$!
		exec 8<"$T/pipe"
		head -c 100000 <&8 >"$T/begin"
		status=0 last="kill $case"
		kill -TERM $pid
		cat <&8 >"$T/rest"
		wait $pid || status=$?
		exec 8<&-
		status_is 143
		cat "$T/begin" "$T/rest" >"$T/all"
		refused 65 frames --check <"$T/all"
		says "$name failed: stopped: by a signal"
	}
	CASES='source | plant-embeddings --rows 4000000000 --dim 512 --concepts 8 | /dev/null' each check source
}

@test "a signal stops who writes what nobody reads" {
	local pid
	plant-embeddings --rows 20000 --dim 64 --concepts 16 -o "$T/much"
	check() {
		rm -f "$T/pipe"
		mkfifo "$T/pipe"
		exec 8<>"$T/pipe"
		timeout --foreground -k 2 "$LIMIT" "${cmd[@]}" >"$T/pipe" 2>"$ERR" 3>&- 8>&- &
		pid=$!
		sleep .3 # it is asleep in write by now, or will stop before
		status=0 last="kill $case"
		kill -TERM $pid
		wait $pid || status=$?
		exec 8<&-
		status_is 143
		one_line "$name"
	}
	CASES="filter | topk -k 2 --column x -i $T/much | $T/much
		filter | topk -k 2 --column x -t 1 -i $T/much | $T/much" each check filter
	CASES='source | plant-embeddings --rows 4000000000 --dim 512 --concepts 8 | /dev/null' each check source
}

# ---- links ----

@test "addresses that make no sense are 64, those beyond this machine 77" {
	for case in tcp://nonsense tcp://127.0.0.1 tcp://127.0.0.1:0 tcp://127.0.0.1:99999 tcp://:x @tcp:// ipc:// @ipc://; do
		refused 64 topk -k 1 -i "$case"
		says "$case: "
		refused 64 topk -k 1 -o "$case" <z.sae
	done
	refused 64 topk -k 1 -i ''
	for case in tcp://192.0.2.1:5600 '@tcp://*:5600' @tcp://0.0.0.0:5600; do
		refused 77 topk -k 1 -i "$case"
		says "--insecure"
		refused 77 topk -k 1 -o "$case" <z.sae
	done
}

@test "a pipeline over sockets gives the same bytes as one over pipes" {
	read-embeddings raw.npy -b 7 | normalize -m m.msae | sae-encode -m m.msae | topk -k 3 | sae-decode -m m.msae >"$T/pipes"
	S=$(mktemp -d /tmp/msae-test.XXXXXX) # a socket's path must be short
	local o="--peer-timeout 15" pids=() p
	{
		bounded normalize -m m.msae -i "@ipc://$S/1" -o "ipc://$S/2" $o &
		pids+=($!)
		bounded sae-encode -m m.msae -i "@ipc://$S/2" -o "@ipc://$S/3" $o &
		pids+=($!)
		bounded topk -k 3 -i "ipc://$S/3" -o "ipc://$S/4" $o &
		pids+=($!)
		bounded sae-decode -m m.msae -i "@ipc://$S/4" -o "$T/links" $o &
		pids+=($!)
		bounded read-embeddings raw.npy -b 7 -o "ipc://$S/1" $o || problem "read-embeddings: status $?"
	} 3>&- 2>"$T/said"
	for p in "${pids[@]}"; do
		wait "$p" || problem "a stage ended with $?: $(cat "$T/said")"
	done
	rm -rf "$S"
	same "$T/links" "$T/pipes"
}
