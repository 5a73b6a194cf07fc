# docs/FORMAT.md: the reader printed there, run over our streams.

load helper

setup_file() {
	pick_python
	cd "$BATS_FILE_TMPDIR"
	[[ -r $ROOT/docs/FORMAT.md ]] || return 0
	awk '/^<!-- reader -->$/ { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' "$ROOT/docs/FORMAT.md" >reader.py
	small_world
	normalize --l2 --fit -i raw.sae -o l2.sae
	sae-encode -m m.msae --keep -i x.sae -o both.sae
	plant-embeddings --rows 3000 --dim 70 --concepts 30 --codes -o large.sae
	read-embeddings raw.npy --limit 0 -o empty.sae
	cat z.sae empty.sae x.sae >many.sae
}

setup() {
	need_python
	[[ -r $ROOT/docs/FORMAT.md ]] || skip "no docs/FORMAT.md"
	cd "$BATS_FILE_TMPDIR"
	T=$BATS_TEST_TMPDIR
	export PYTHONPATH=$BATS_FILE_TMPDIR:$TESTS
}

@test "the reader is there, complete" {
	[[ $(wc -l <reader.py) -gt 20 ]] || problem "docs/FORMAT.md has no reader behind <!-- reader -->"
	ok "$PYTHON" -c 'import reader; reader.rows'
}

@test "the reader finds the rows our tools find" {
	for case in *.sae; do
		ok "$PYTHON" reader.py <"$case"
		rows=$(frames --check -i "$case" | grep -oE '[0-9]+ rows')
		[[ "$(tail -n 1 "$OUT")" == "rows ${rows% rows}" ]] || problem "says $(tail -n 1 "$OUT"), frames --check: $rows"
	done
}

@test "the reader's numbers are the ones write-embeddings writes" {
	for case in "raw x" "x x" "z z" "both x" "both z" "l2 x" "l2 norm" "large x" "large planted"; do
		read -r file column <<<"$case"
		write-embeddings --column "$column" -i "$file.sae" "$T/out.npy"
		py "$file.sae" "$column" "$T/out.npy" <<-'E'
			import sys
			import numpy as np
			import reader
			got = []
			for head, frame, columns in reader.rows(open(sys.argv[1], "rb")):
			    c = columns[sys.argv[2]]
			    if isinstance(c, tuple):
			        ptr, idx, val, width = c
			        dense = np.zeros((len(ptr) - 1, width), "f4")
			        for i in range(len(ptr) - 1):
			            dense[i, idx[ptr[i]:ptr[i + 1]]] = val[ptr[i]:ptr[i + 1]]
			        c = dense
			    got.append(c)
			got, want = np.concatenate(got), np.load(sys.argv[3])
			assert got.dtype == want.dtype and got.tobytes() == want.tobytes()
		E
	done
}

@test "the reader gets the strings that are there" {
	py raw.sae ids.txt <<-'E'
		import sys
		import reader
		ids = [s for _, _, c in reader.rows(open(sys.argv[1], "rb")) for s in c["id"]]
		assert ids == open(sys.argv[2]).read().split()
	E
}

@test "the reader refuses what frames --check refuses" {
	for cut in 5 100 700 $(($(wc -c <z.sae) - 1)); do
		case="cut at $cut"
		head -c "$cut" z.sae >"$T/cut"
		refused 65 frames --check -i "$T/cut"
		try "$PYTHON" reader.py <"$T/cut"
		status_is 65
	done
	# what a reader that trusts the columns' insides must notice
	for case in seq-gap seq-again end-frames end-rows end-missing end-second-missing head-only head-twice head-missing head-after-end error version; do
		frames --pack -i "$TESTS/streams/bad-$case.txt" -o "$T/bad" 2>/dev/null || { mkdir -p "$T/p"; sae pack "$TESTS/streams/bad-$case.txt" "$T/p"; mv "$T/p/bad-$case" "$T/bad"; }
		try "$PYTHON" reader.py <"$T/bad"
		status_is 65
	done
	case=text
	try "$PYTHON" reader.py <ids.txt
	status_is 65
	case=empty
	try "$PYTHON" reader.py </dev/null
	status_is 65
	if "$PYTHON" -c 'import xxhash' 2>/dev/null; then
		case=sum
		frames --pack -i "$TESTS/streams/bad-end-sum.txt" -o "$T/bad"
		try "$PYTHON" reader.py <"$T/bad"
		status_is 65
	fi
}

@test "the reader passes over what it does not know" {
	sae strange z.sae "$T/strange"
	ok "$PYTHON" reader.py <"$T/strange"
}

@test "the short line for x reads x" {
	line=$(grep -o 'for f in msgpack.Unpacker(sys.stdin.buffer).*reshape(c\["shape"\])' "$ROOT/docs/FORMAT.md" | head -n 1)
	[[ -n $line ]] || problem "docs/FORMAT.md has no such line"
	"$PYTHON" - >"$T/lines.py" <<-E
		first, rest = '''$line'''.split(": if ", 1)
		test, rest = rest.split(": ", 1)
		print("import sys, msgpack, numpy as np")
		print(first + ":")
		print("    if " + test + ":")
		print("        " + rest)
		print("        sys.stdout.buffer.write(x.tobytes())")
	E
	"$PYTHON" "$T/lines.py" <x.sae >"$T/x"
	write-embeddings -i x.sae - | tail -c +129 >"$T/want"
	same "$T/x" "$T/want"
}
