# normalize: against numpy, there and back, and what it refuses.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# close A B: column x of two streams agrees to 1e-6 of its largest number.
close() {
	py "$@" <<-'E'
		import sys
		from sae import *
		(_, a), (_, b) = load(sys.argv[1]), load(sys.argv[2])
		for k in ("x", "xhat"):
		    if k in a or k in b:
		        assert abs(a[k] - b[k]).max() <= 1e-6 * abs(a[k]).max(), abs(a[k] - b[k]).max()
	E
}

@test "-m is (x - mean) * scale, with the mean and scale of the model" {
	need_python
	ok normalize -m m.msae -i raw.sae -o "$T/x"
	py raw.sae "$T/x" m.msae <<-'E'
		import sys
		from sae import *
		(_, raw), (head, x), (m, _) = load(sys.argv[1]), load(sys.argv[2]), read_model(sys.argv[3])
		want = (raw["x"].astype("f8") - m["mean"]) * m["scale"]
		np.testing.assert_allclose(x["x"], want, rtol=1e-6, atol=1e-6)
		assert x["id"] == raw["id"]
		assert head["norm"]["how"] == "model"
		assert (array(head["norm"]["mean"]) == m["mean"]).all() and array(head["norm"]["scale"]) == m["scale"]
	E
}

@test "--fit: mean 0, root mean square norm sqrt(d)" {
	need_python
	ok normalize --fit -i raw.sae -o "$T/x"
	py raw.sae "$T/x" <<-'E'
		import sys
		from sae import *
		(_, raw), (head, x) = load(sys.argv[1]), load(sys.argv[2])
		raw, x = raw["x"].astype("f8"), x["x"].astype("f8")
		mean = raw.mean(0)
		scale = np.sqrt(raw.shape[1]) / np.sqrt(((raw - mean)**2).sum(1).mean())
		np.testing.assert_allclose(array(head["norm"]["mean"]), mean, rtol=1e-6, atol=1e-7)
		np.testing.assert_allclose(array(head["norm"]["scale"]), scale, rtol=1e-6)
		np.testing.assert_allclose(x, (raw - mean) * scale, rtol=1e-5, atol=1e-6)
		assert abs(x.mean(0)).max() < 1e-6 and abs((x**2).sum(1).mean() - x.shape[1]) < 1e-5
		assert head["norm"]["how"] == "fit"
	E
}

@test "--fit gives the same bytes from a pipe, a file, -i, and in other frames" {
	normalize --fit -i raw.sae >"$T/a"
	normalize --fit <raw.sae >"$T/b"
	cat raw.sae | normalize --fit >"$T/c"
	cat raw.sae | TMPDIR=$T normalize --fit >"$T/d"
	for f in b c d; do
		same "$T/$f" "$T/a"
	done
	[[ $(ls -A "$T") == a$'\n'b$'\n'c$'\n'd ]] || problem "left a spool: $(ls -A "$T")"
	# standard input that is a file, read from the middle on: that is where it begins
	cat x.sae raw.sae >"$T/both"
	{ head -c "$(wc -c <x.sae)" >/dev/null; normalize --fit >"$T/e"; } <"$T/both"
	same "$T/e" "$T/a"
	for b in 1 7 512; do
		plant-embeddings --rows 40 --dim 8 --concepts 12 --active 3 --seed 5 -b $b | normalize --fit --stats "$T/stats-$b" >"$T/x-$b"
		same "$T/stats-$b" "$T/stats-1"
	done
	refused 73 env TMPDIR="$T/no/such/dir" normalize --fit < <(cat raw.sae)
	says "TMPDIR"
}

# refused, where the command's first word is env.
one_line() {
	[[ $(wc -l <"$ERR") -eq 1 ]] && grep -qE "^[a-z-]+: [^ ].*[:;] ?[^ ]" "$ERR" || problem "stderr should be one line: $last: $(heard)"
}

@test "--stats: written with --fit, read without; a model file serves too" {
	ok normalize --fit --stats "$T/stats" -i raw.sae -o "$T/fit"
	ok normalize --stats "$T/stats" -i raw.sae -o "$T/stats.sae"
	ok normalize -m m.msae -i raw.sae -o "$T/m"
	ok normalize --stats m.msae -i raw.sae -o "$T/m2"
	for f in fit stats.sae m m2; do
		write-embeddings -i "$T/$f" "$T/$f.npy"
	done
	same "$T/fit.npy" "$T/stats.sae.npy"
	same "$T/m.npy" "$T/m2.npy"
	ok normalize --fit --stats "$T/again" -i raw.sae -o "$T/fit2"
	same "$T/again" "$T/stats"
	if [[ -n $PYTHON ]]; then
		py "$T/stats" "$T/fit" <<-'E'
			import sys
			from sae import *
			(t, meta), (head, _) = read_model(sys.argv[1]), load(sys.argv[2])
			assert (t["mean"] == array(head["norm"]["mean"])).all() and t["scale"] == array(head["norm"]["scale"])
			assert meta["rows"] == "40"
		E
	fi
	refused 65 normalize --fit --stats "$T/cut" < <(head -c -1 raw.sae)
	[[ ! -e $T/cut ]] || problem "statistics of half a stream were written"
	read-embeddings raw.npy --limit 0 >"$T/empty"
	refused 65 normalize --fit --stats "$T/cut" -i "$T/empty"
	[[ ! -e $T/cut ]] || problem "statistics of no rows were written"
	refused 73 normalize --fit --stats "$T/no/such/dir" -i raw.sae
}

@test "--l2 brings rows to unit length, and keeps the lengths" {
	need_python
	ok normalize --l2 -i raw.sae -o "$T/x"
	py raw.sae "$T/x" <<-'E'
		import sys
		from sae import *
		(_, raw), (head, x) = load(sys.argv[1]), load(sys.argv[2])
		length = np.sqrt((raw["x"].astype("f8")**2).sum(1))
		np.testing.assert_allclose(x["norm"], length, rtol=1e-6)
		np.testing.assert_allclose(x["x"], raw["x"] / length[:, None], rtol=1e-6, atol=1e-7)
		assert head["l2"] is True and "norm" not in head and head["cols"]["norm"] == {"dtype": "<f4", "shape": []}
	E
	ok normalize --l2 --fit -i raw.sae -o "$T/fit"
	py "$T/x" "$T/fit" <<-'E'
		import sys
		from sae import *
		(_, unit), (head, x) = load(sys.argv[1]), load(sys.argv[2])
		np.testing.assert_allclose(array(head["norm"]["mean"]), unit["x"].astype("f8").mean(0), rtol=1e-5, atol=1e-7)
		assert head["l2"] is True and abs(x["x"].mean(0)).max() < 1e-6
	E
}

@test "--undo takes back what was done, to 1e-6" {
	need_python
	for how in "-m m.msae" "--fit" "--stats m.msae" "--l2" "--l2 --fit" "--l2 -m m.msae"; do
		case=$how
		ok normalize $how -i raw.sae -o "$T/x"
		ok normalize --undo -i "$T/x" -o "$T/back"
		close raw.sae "$T/back"
		! frames -i "$T/back" | head -n 1 | grep -E '"(norm|l2)":' || problem "the head still says that it is normalised"
		! frames -i "$T/back" | grep '"kind":"rows"' | grep '"norm"' || problem "column norm is still there"
		ok normalize $how -i "$T/back" # and can be normalised again
	done
}

@test "--undo takes reconstructions back too" {
	need_python
	sae-encode -m m.msae --keep -i x.sae | sae-decode -m m.msae | normalize --undo >"$T/back"
	sae-encode -m m.msae --keep -i x.sae | sae-decode -m m.msae >"$T/xhat"
	py "$T/xhat" "$T/back" m.msae raw.sae <<-'E'
		import sys
		from sae import *
		(_, a), (_, b), (m, _), (_, raw) = load(sys.argv[1]), load(sys.argv[2]), read_model(sys.argv[3]), load(sys.argv[4])
		np.testing.assert_allclose(b["xhat"], a["xhat"].astype("f8") / m["scale"] + m["mean"], rtol=1e-6, atol=1e-5)
		np.testing.assert_allclose(b["x"], raw["x"], rtol=1e-5, atol=1e-5)
	E
}

@test "half precision in, float32 out" {
	need_python
	py "$T/half" <<-'E'
		import sys
		from sae import *
		write(sys.argv[1], stream({"x": np.arange(24, dtype="<f2").reshape(3, 8)}))
	E
	ok normalize -m m.msae -i "$T/half" -o "$T/x"
	frames -i "$T/x" | head -n 1 | grep -q '"x":{"dtype":"<f4","shape":\[8\]}' || problem "x is not declared <f4: $(frames -i "$T/x" | head -n 1 | head -c 200)"
	whole "$T/x" 3
}

@test "what is normalised is not normalised again" {
	for how in "-m m.msae" --fit --l2 "--stats m.msae"; do
		refused 65 normalize $how -i x.sae -o "$T/out"
		says "normalize --undo"
	done
	normalize --l2 -i raw.sae -o "$T/l2"
	refused 65 normalize --fit -i "$T/l2"
	[[ ! -e $T/out ]] || problem "an output appeared"
}

@test "what was not normalised is not undone" {
	refused 65 normalize --undo -i raw.sae
	says "nothing to undo"
}

@test "widths that do not fit are refused" {
	plant-embeddings --rows 3 --dim 9 -o "$T/wide"
	refused 65 normalize -m m.msae -i "$T/wide"
	says "x is 9 wide"
	says "8"
	refused 65 normalize --fit < <(cat raw.sae "$T/wide")
	says "9"
	refused 65 normalize -m m.msae < <(cat raw.sae "$T/wide")
	says "x is 9 wide"
}

@test "options that do not go together are 64" {
	for how in "" "-m m.msae --fit" "-m m.msae --stats m.msae" "--undo --fit" "--undo --l2" "--undo -m m.msae" "--undo --stats m.msae" "-q"; do
		case=$how
		refused 64 normalize $how <raw.sae
	done
}

@test "statistics and models that are none are refused by name" {
	printf 'junk' >"$T/junk"
	refused 65 normalize -m "$T/junk" -i raw.sae
	says "$T/junk: "
	refused 65 normalize --stats "$T/junk" -i raw.sae
	says "$T/junk: "
	refused 65 normalize -m raw.npy -i raw.sae
	says "raw.npy: "
	refused 65 normalize --stats names.json -i raw.sae
	head -c -1 m.msae >"$T/cut"
	refused 65 normalize -m "$T/cut" -i raw.sae
}

@test "rows that do not vary are centred and not scaled, with a warning; a zero row stays" {
	frames --pack >"$T/flat" <<-'E'
		{"sae":1,"kind":"head","stream":"s","cols":{"x":{"dtype":"<f4","shape":[2]}},"prov":[]}
		{"sae":1,"kind":"rows","seq":0,"row":0,"n":2,"cols":{"x":{"dtype":"<f4","shape":[2,2],"data":[[3,4],[3,4]]}}}
		{"sae":1,"kind":"end","frames":1,"rows":2}
	E
	try normalize --fit -i "$T/flat" -o "$T/out"
	status_is 0
	says "not scaled"
	frames --text --rows -i "$T/out" | grep -qE '"data":\[\[0(\.0)?,0(\.0)?\],\[0(\.0)?,0(\.0)?\]\]' || problem "not centred"
	sed 's/3,4/0,0/' <<<"$(frames --text --rows -i "$T/flat" | sed 's/3\.0,4\.0/0,0/g; s/,"sum":"[^"]*"//')" | frames --pack >"$T/zero"
	ok normalize --l2 -i "$T/zero" -o "$T/out"
	ok normalize --undo -i "$T/out"
	frames --text --rows -i "$T/out" | grep -q '"norm":{"dtype":"<f4","shape":\[2\],"data":\[0' || problem "the length of a zero row is not 0"
}

@test "NaN in a stream is refused, with its row" {
	frames --text --rows -i raw.sae | awk '/"row":16/ { sub(/"data":\[\[[^,]*,/, "\"data\":[[\"NaN\",") } { sub(/,"sum":"[^"]*"/, ""); print }' | frames --pack >"$T/nan"
	whole "$T/nan"
	for how in "-m m.msae" --fit --l2; do
		refused 65 normalize $how -i "$T/nan"
		says "row 16"
		says "rows 16-31"
		says "--nan=skip"
	done
}
