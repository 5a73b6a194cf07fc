# frames: text and back, verdicts, and every broken stream in tests/streams.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	normalize --l2 -i raw.sae -o l2.sae
	plant-embeddings --rows 3000 --dim 70 --concepts 30 --codes -o large.sae
	read-embeddings raw.npy --limit 0 -o empty.sae
	sae-encode -m m.msae -k 2 --keep -i x.sae | cat - z.sae >two.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

@test "text with values and back is the same bytes, for our own streams" {
	for case in *.sae; do
		frames --text --rows -i "$case" >"$T/text"
		ok frames --pack -i "$T/text"
		same "$OUT" "$case"
		frames --pack <"$T/text" >"$T/again"
		same "$T/again" "$case"
	done
}

@test "text without values has one line a frame, and no data" {
	for case in *.sae; do
		frames -i "$case" >"$T/text"
		whole "$case"
		frames --check -i "$case" | grep -q " $(wc -l <"$T/text") frames," || problem "not one line a frame"
		! grep -vE '^\{"sae":1,"kind":"(head|rows|end)".*\}$' "$T/text" || problem "lines that are no frames"
		! grep '"kind":"rows"' "$T/text" | grep '"data":' || problem "has data"
		frames --text -i "$case" >"$T/text2"
		same "$T/text" "$T/text2"
	done
	case=
	frames -i z.sae >"$T/text"
	refused 65 frames --pack -i "$T/text"
	says "frames --text --rows"
}

@test "text is JSON, with the numbers that are in the stream" {
	need_python
	for f in z.sae l2.sae two.sae large.sae; do
		frames --text --rows -i $f >"$T/text"
		py $f "$T/text" <<-'E'
			import json, sys
			from sae import *
			for a, line in zip(frames(sys.argv[1]), open(sys.argv[2]), strict=True):
			    b = unjson(json.loads(line))
			    for f in [a, *a.get("cols", {}).values()]:
			        for pad in ("pad", "pad2", "pad3"):
			            f.pop(pad, None)
			    assert a == b, (a["kind"], a.get("seq"))
		E
	done
}

@test "comments and empty lines of text are left out" {
	{ echo '# a comment'; echo; frames --text --rows -i z.sae | sed 's/^/  /'; echo '#'; } >"$T/text"
	frames --pack -i "$T/text" >"$T/again"
	same "$T/again" z.sae
}

@test "text that cannot be packed is refused, by line" {
	frames --text --rows -i z.sae >"$T/good"
	while IFS='~' read -r case line want; do
		{ head -n 1 "$T/good"; printf '%s\n' "$line"; } >"$T/text"
		refused 65 frames --pack -i "$T/text"
		says "$T/text: line 2: "
		says "$want"
	done <<-'E'
		not JSON~hello~
		cut off~{"sae":1~
		a list~[1,2]~one JSON object a line
		a number~17~expected
		bad hex~{"sae":1,"kind":"x","a":{"$bin":"0g"}}~hex
		odd hex~{"sae":1,"kind":"x","a":{"$bin":"012"}}~hex
		bad sum~{"sae":1,"kind":"end","frames":0,"rows":0,"sum":"0xzz"}~sum
		bad count~{"sae":1,"kind":"x","a":{"$uint":"many"}}~$uint
		a key twice~{"sae":1,"sae":1,"kind":"x"}~duplicate
		no frame~{"a":1}~no frame
		text for numbers~{"sae":1,"kind":"rows","seq":0,"row":0,"n":1,"cols":{"x":{"dtype":"<f4","shape":[1,1],"data":[["one"]]}}}~<f4
		a half byte~{"sae":1,"kind":"rows","seq":0,"row":0,"n":1,"cols":{"x":{"dtype":"|u1","shape":[1,1],"data":[[0.5]]}}}~u1
		beyond a byte~{"sae":1,"kind":"rows","seq":0,"row":0,"n":1,"cols":{"x":{"dtype":"|u1","shape":[1,1],"data":[[256]]}}}~u1
	E
	case=
	: >"$T/text"
	refused 65 frames --pack -i "$T/text"
	says "empty"
}

@test "every type of number survives text" {
	need_python
	py "$T/types.sae" <<-'E'
		import sys
		from sae import *
		cols = {}
		for t in ("<f4", "<f8", "<f2", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"):
		    if "f" in t:
		        i = np.finfo(t)
		        v = [0.0, -0.0, 0.1, 1 / 3, i.max, i.min, i.tiny, i.smallest_subnormal, np.inf, -np.inf, np.nan]
		    elif "b" in t:
		        v = [0, 1] * 6
		    else:
		        i = np.iinfo(t)
		        v = [i.min, i.max, i.max - 1, 0, 1, 2, 3, 5, 7, 11, 13]
		    cols[t.strip("<|")] = np.array(v[:11], t)
		write(sys.argv[1], stream(cols, batch=4))
	E
	frames --text --rows -i "$T/types.sae" >"$T/text"
	frames --pack -i "$T/text" >"$T/again"
	sae same "$T/types.sae" "$T/again"
}

@test "--check says what was whole, --quiet --check nothing" {
	ok frames --check -i two.sae
	[[ $(cat "$OUT") == "whole: 2 streams, 10 frames, 80 rows, $(wc -c <two.sae) bytes" ]] || problem "says $(cat "$OUT")"
	ok frames --check -i empty.sae
	[[ $(cat "$OUT") == "whole: 1 stream, 2 frames, 0 rows, $(wc -c <empty.sae) bytes" ]] || problem "says $(cat "$OUT")"
	ok frames --check -q -i two.sae
	[[ ! -s $OUT ]] || problem "says something all the same"
}

@test "--check notices every changed byte of the rows" {
	split_frames z.sae "$T/z"
	head=$(wc -c <"$T/z/0") size=$(wc -c <z.sae) endsize=$(wc -c <"$T/z/4")
	for ((at = head; at < size - endsize; at += 37)); do
		cp z.sae "$T/bent"
		byte=$(od -An -tu1 -j $at -N 1 z.sae)
		printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$T/bent" bs=1 seek=$at conv=notrunc 2>/dev/null
		case="byte $at"
		refused 65 frames --check <"$T/bent"
	done
}

@test "options that exclude each other are 64" {
	for case in "--check --text" "--text --pack" "--pack --rows" "--check --pack"; do
		refused 64 frames $case <z.sae
	done
}

@test "a broken stream is shown up to where it breaks" {
	frames --pack -i "$TESTS/streams/bad-seq-gap.txt" -o "$T/bad"
	refused 65 frames <"$T/bad"
	[[ $(wc -l <"$OUT") == 3 ]] || problem "shows $(wc -l <"$OUT") frames, 3 were expected"
	head -c -1 z.sae >"$T/cut"
	refused 65 frames <"$T/cut"
	[[ $(wc -l <"$OUT") == 4 ]] || problem "shows $(wc -l <"$OUT") frames, 4 were expected"
}

@test "good canned streams are whole, and come back as their text" {
	for case in "$TESTS"/streams/good*.txt; do
		frames --pack -i "$case" -o "$T/good.sae"
		whole "$T/good.sae"
		frames --text --rows -i "$T/good.sae" >"$T/text"
		frames --pack -i "$T/text" >"$T/again"
		same "$T/again" "$T/good.sae"
		if [[ -n $PYTHON ]]; then # and packed by a foreign hand they hold the same
			mkdir -p "$T/foreign"
			sae pack "$case" "$T/foreign"
			whole "$T/foreign/$(basename "$case" .txt)"
			frames --text --rows -i "$T/foreign/$(basename "$case" .txt)" | sed '$d' >"$T/text2"
			sed '$d' "$T/text" >"$T/text1"
			same "$T/text1" "$T/text2"
		fi
	done
}

@test "the good canned stream keeps its text" {
	frames --pack -i "$TESTS/streams/good.txt" | frames --text --rows | sed 's/,"sum":"[^"]*"//; s/\.0\([],]\)/\1/g' >"$T/text"
	grep -v '^#' "$TESTS/streams/good.txt" >"$T/expected"
	same "$T/text" "$T/expected"
}

# Packed by frames --pack; where that refuses (in the same words), by Python.
@test "broken canned streams are refused, each with its message" {
	mkdir "$T/python"
	[[ -z $PYTHON ]] || sae pack "$TESTS"/streams/bad-*.txt "$T/python"
	n=0
	for f in "$TESTS"/streams/bad-*.txt; do
		case=$(basename "$f" .txt)
		expected=$(sed -n 's/^# expect: //p' "$f")
		[[ -n $expected ]] || problem "no \"# expect:\" line"
		try frames --pack -i "$f" -o "$T/bad"
		if ((status)); then
			says "${expected#frame [0-9]*: }"
			cp "$T/python/$case" "$T/bad" 2>/dev/null || continue
		fi
		n=$((n + 1))
		refused 65 frames --check -i "$T/bad"
		says "frames: $T/bad: "
		says "$expected"
		refused 65 frames <"$T/bad"
		says "frames: standard input: "
		says "$expected"
		refused 65 topk -k 1 -o "$T/out" <"$T/bad"
		says "$expected"
		[[ ! -e $T/out ]] || problem "topk made a file of it"
		refused 65 report <"$T/bad"
	done
	case=
	((n >= 15)) || problem "only $n streams were tried"
}
