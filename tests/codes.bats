# Codes: sae-encode, topk, sae-decode, concept-score and write-embeddings,
# against numpy in double precision.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	plant-embeddings --rows 2 --dim 8 --concepts 12 --active 3 --seed 6 --truth other.msae --names other.json -o other.sae
	[[ -n $PYTHON ]] || return 0
	# larger ones, with numbers of their own; tied: codes that are equal, negative, zero
	py <<-'E'
		from sae import *
		r = np.random.default_rng(4)
		x = r.normal(size=(300, 24)).astype("<f4")
		write("big.sae", stream({"x": x, "id": [f"i{i}" for i in range(300)]}, batch=128))
		dense = r.integers(-4, 5, size=(60, 20)).astype("<f4")
		dense[r.random(dense.shape) < .4] = 0
		dense[3] = 0
		dense[4] = -abs(dense[4])
		dense[5] = 2
		write("tied.sae", stream({"z": sparse(dense), "dense": dense, "wide": dense.astype("<f8"), "half": dense.astype("<f2")}, batch=25))
	E
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# ---- sae-encode ----

@test "sae-encode is relu((x - b_dec) W_enc + b_enc), for every architecture" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		kinds = {
		    "msae": (dict(nesting="8,16,64", weighting="rw"), 0),
		    "relu": (dict(), 0),
		    "topk": (dict(k=5), 5),
		    "batchtopk": (dict(k=5), 0),
		    "jumprelu": (dict(), 0),
		    "capped": (dict(architecture="msae", soft_cap="1.5"), 0),
		    "cappedk": (dict(architecture="topk", k=7, soft_cap="0.5"), 7),
		}
		for i, (name, (meta, k)) in enumerate(kinds.items()):
		    m = random_model(24, 64, seed=i, threshold=name in ("batchtopk", "jumprelu"))
		    if name == "jumprelu":
		        m["threshold"][::3] *= -1
		    write_model(f"{sys.argv[1]}/{name}.msae", m, **{"architecture": name, **meta})
		write_model(f"{sys.argv[1]}/odd.msae", random_model(24, 61, seed=9), architecture="relu")
		write_model(f"{sys.argv[1]}/wide.msae", random_model(24, 1100, seed=10), architecture="relu")
	E
	for f in "$T"/*.msae; do
		for k in "" 0 1 6 32; do
			case="$(basename "$f" .msae) ${k:+-k $k}"
			ok sae-encode -m "$f" ${k:+-k $k} --as-is -i big.sae -o "$f.z$k"
		done
	done
	case=
	py "$T" <<-'E'
		import glob, sys
		from sae import *
		(_, big) = load("big.sae")
		for f in sorted(glob.glob(sys.argv[1] + "/*.msae")):
		    m, meta = read_model(f)
		    if "threshold" in m:
		        m["threshold"] = np.maximum(m["threshold"], 0)
		    for k in ("", 0, 1, 6, 32):
		        _, got = load(f"{f}.z{k}")
		        default = int(meta["k"]) if meta["architecture"] == "topk" else 0
		        want = encode(m, big["x"], k if k != "" else default, float(meta.get("soft_cap", 0)))
		        assert got["z"].shape == want.shape
		        np.testing.assert_allclose(got["z"], want, rtol=1e-5, atol=1e-5, err_msg=f"{f} -k {k}")
		        assert got["id"] == big["id"] and "x" not in got
		    for frame in frames(f"{f}.z6"):
		        if frame["kind"] == "rows":
		            c = frame["cols"]["z"]
		            ptr, idx = np.frombuffer(c["ptr"], "<u4"), np.frombuffer(c["idx"], "<u4")
		            assert np.diff(ptr).max() <= 6 and (np.frombuffer(c["data"], "<f4") != 0).all()
		            assert all((np.diff(idx[a:b].astype(int)) > 0).all() for a, b in zip(ptr, ptr[1:])), "indices do not ascend"
	E
}

@test "sae-encode -k K is topk -k K of all codes" {
	sae-encode -m m.msae -i x.sae -o "$T/all"
	for k in 1 2 5 12; do
		sae-encode -m m.msae -k $k -i x.sae | write-embeddings --column z "$T/a.npy"
		topk -k $k -i "$T/all" | write-embeddings --column z "$T/b.npy"
		same "$T/a.npy" "$T/b.npy"
	done
	sae-encode -m m.msae -k 0 -i x.sae | write-embeddings --column z "$T/a.npy"
	write-embeddings --column z "$T/b.npy" -i "$T/all"
	same "$T/a.npy" "$T/b.npy"
}

@test "every instruction set: the same codes by every way, and what topk and sae-decode make of them" {
	plant-embeddings --rows 500 --dim 99 --concepts 2111 --active 30 --seed 8 --truth "$T/m.msae" -o "$T/raw"
	normalize -m "$T/m.msae" -i "$T/raw" -o "$T/x"
	for cpu in plain avx2 avx512 avx512vnni; do
		try env MSAE_CPU=$cpu sae-encode -m "$T/m.msae" -i "$T/x" -o "$T/$cpu.all"
		[[ $status != 64 || $cpu == plain ]] || continue # not on this machine
		status_is 0
		case=$cpu
		export MSAE_CPU=$cpu
		ok sae-encode -m "$T/m.msae" -k 24 -i "$T/x" -o "$T/$cpu.k"
		ok topk -k 24 -i "$T/$cpu.all" -o "$T/$cpu.top"
		ok topk -k 9 --column x -i "$T/x" -o "$T/$cpu.dense"
		ok sae-decode -m "$T/m.msae" -i "$T/$cpu.k" -o "$T/$cpu.few"
		ok sae-decode -m "$T/m.msae" -i "$T/$cpu.all" -o "$T/$cpu.many"
		unset MSAE_CPU
		for what in all k top dense few many; do
			# what a command line says of files differs; rows do not
			frames --text --rows -i "$T/$cpu.$what" | grep -v '"kind":"head"' >"$T/rows"
			[[ $cpu != plain ]] || cp "$T/rows" "$T/plain.$what.rows"
			same "$T/rows" "$T/plain.$what.rows"
		done
		write-embeddings --column z -i "$T/$cpu.k" "$T/k.npy"
		write-embeddings --column z -i "$T/$cpu.top" "$T/top.npy"
		same "$T/k.npy" "$T/top.npy"
	done
	[[ $(frames --text --rows -i "$T/plain.all" | wc -c) -gt 100000 ]] || problem "hardly any codes"
}

@test "sae-encode: ties go to the lowest latent" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		m = random_model(4, 30)
		m["W_enc"][:], m["b_dec"][:] = 0, 0
		m["b_enc"][:] = [1, 2, 2, -1, 2, 0] * 5
		write_model(sys.argv[1] + "/m.msae", m)
		write(sys.argv[1] + "/x", stream({"x": np.ones((3, 4), "<f4")}))
	E
	for k in 1 3 14 15 16 19 20 25; do
		sae-encode --as-is -m "$T/m.msae" -k $k -i "$T/x" -o "$T/$k"
	done
	py "$T" <<-'E'
		import sys
		from sae import *
		m, _ = read_model(sys.argv[1] + "/m.msae")
		for k in (1, 3, 14, 15, 16, 19, 20, 25):
		    _, got = load(f"{sys.argv[1]}/{k}")
		    want = encode(m, np.ones((3, 4)), k)
		    assert (got["z"] == want).all(), (k, got["z"][0], want[0])
	E
}

# several FILE ARGS...: sae-encode of FILE is, on any number of threads, what it is on one.
several() {
	local file=$1 t
	shift
	try sae-encode -t 1 -m m.msae "$@" -i "$file"
	cp "$OUT" "$T/one.out"
	cp "$ERR" "$T/one.err"
	one=$status
	for t in 2 3 16; do
		try sae-encode -t $t -m m.msae "$@" -i "$file"
		status_is "$one"
		same "$OUT" "$T/one.out"
		same "$ERR" "$T/one.err"
	done
}

@test "sae-encode: frames that are worked on at the same time come out in order" {
	plant-embeddings --rows 3000 --dim 8 --concepts 12 --active 3 --seed 5 -b 20 | normalize -m m.msae >"$T/x"
	several "$T/x"
	((one == 0)) || problem "status $one"
	several "$T/x" -k 3 --keep
	several "$T/x" -k 3 --fast
	cat "$T/x" x.sae "$T/x" >"$T/three"
	several "$T/three" -k 2
	((one == 0)) || problem "three streams: status $one"
	sae-encode -t 4 -m m.msae -i "$T/x" --status "$T/status" -o "$T/z"
	grep -q 'rows_total{program="sae-encode",side="out"} 3000' "$T/status" || problem "the status does not count the rows"
}

@test "sae-encode: what fails in the middle fails as on one thread, after all before it" {
	plant-embeddings --rows 3000 --dim 8 --concepts 12 --active 3 --seed 5 -b 20 | normalize -m m.msae >"$T/x"
	head -c 70000 "$T/x" >"$T/cut"
	several "$T/cut"
	((one == 65)) || problem "cut: status $one"
	frames --text --rows -i "$T/x" >"$T/text"
	sed '100s/"data":\[\[[^],]*/"data":[["NaN"/' "$T/text" | frames --pack >"$T/nan"
	several "$T/nan"
	((one == 65)) || problem "NaN: status $one"
	grep -q "row 1960 holds NaN" "$T/one.err" || problem "NaN is not said: $(cat "$T/one.err")"
	frames --text -i "$T/one.out" | grep -q '"row":1940' || problem "the frame before is missing"
	sed 100d "$T/text" | frames --pack >"$T/gap"
	several "$T/gap"
	((one == 65)) || problem "gap: status $one"
}

@test "sae-encode: screened codes of frames that are worked on at the same time" {
	plant-embeddings --rows 4000 --dim 32 --concepts 2048 --active 6 --seed 5 -b 100 --truth "$T/m.msae" -o "$T/raw"
	normalize -m "$T/m.msae" -i "$T/raw" -o "$T/x"
	for k in "-k 8" "-k 8 --fast" "-k 40 --keep"; do
		ok sae-encode -t 1 -m "$T/m.msae" $k -v -i "$T/x" -o "$T/one"
		says "decided by computing"
		cp "$ERR" "$T/err"
		for t in 2 5; do
			ok sae-encode -t $t -m "$T/m.msae" $k -v -i "$T/x" -o "$T/z"
			same "$T/z" "$T/one"
			[[ $(grep -c . "$ERR") == $(grep -c . "$T/err") ]] || problem "$k: says $(heard)"
			[[ $k != *fast* ]] || grep -q "codes that belong to the 8 largest" "$ERR" || problem "no recall is stated: $(heard)"
		done
	done
}

# answered N: whether $T/z has so many frames, soon.
answered() {
	local _
	for _ in {1..100}; do
		[[ $(frames --text -i "$T/z" 2>/dev/null | wc -l) -lt $1 ]] || return 0
		sleep .1
	done
	problem "frame $1 is not answered"
}

@test "sae-encode answers each frame before it waits for the next, or for the rest of it" {
	local i
	plant-embeddings --rows 140 --dim 8 --concepts 12 --active 3 --seed 5 -b 20 | normalize -m m.msae >"$T/x"
	split_frames "$T/x" "$T/each"
	mkfifo "$T/pipe"
	bounded sae-encode -t 4 -m m.msae <"$T/pipe" >"$T/z" 2>"$ERR" 3>&- &
	exec 8>"$T/pipe"
	cat "$T/each/0" >&8
	for i in 1 2 3; do
		cat "$T/each/$i" >&8
		answered $((i + 1))
	done
	{ cat "$T/each/4" "$T/each/5"; head -c 1 "$T/each/6"; } >&8
	answered 6
	{ tail -c +2 "$T/each/6"; head -c 300 "$T/each/7"; } >&8
	answered 7
	{ tail -c +301 "$T/each/7"; cat "$T/each/8"; } >&8
	exec 8>&-
	wait
	whole "$T/z" 140
}

@test "sae-encode --fast of a model with thresholds keeps all that pass them" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		write_model(f"{sys.argv[1]}/j.msae", random_model(24, 640, seed=3, threshold=True), architecture="jumprelu")
	E
	for k in 0 5; do
		ok sae-encode --no-prov --as-is -m "$T/j.msae" -k $k -i big.sae -o "$T/exact"
		ok sae-encode --no-prov --as-is -m "$T/j.msae" -k $k --fast -i big.sae -o "$T/fast"
		((k)) || same "$T/fast" "$T/exact"
	done
}

@test "--status of an encoder that could not start" {
	refused 66 sae-encode -m "$T/nowhere" --status "$T/status" -i x.sae
	grep -q 'msae_state{program="sae-encode"' "$T/status" || problem "no status"
}

@test "sae-encode --keep passes x on, as it was; the head says which model" {
	ok sae-encode -m m.msae --keep -i x.sae -o "$T/both"
	write-embeddings --column x -i "$T/both" "$T/a.npy"
	write-embeddings --column x -i x.sae "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	write-embeddings --column z -i "$T/both" "$T/a.npy"
	write-embeddings --column z -i z.sae "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	sum=$(sha256sum m.msae)
	frames -i z.sae | head -n 1 | grep -q "\"model\":\"${sum%% *}\"" || problem "the head has no model of that sum"
	frames -i z.sae | head -n 1 | grep -q '"z":{"dtype":"<f4","shape":\[12\]}' || problem "the head does not declare z"
	! frames -i z.sae | head -n 1 | grep -q '"x":{"dtype"' || problem "the head still declares x"
}

@test "raw embeddings are refused, naming the command that helps; --as-is takes them" {
	refused 65 sae-encode -m m.msae -i raw.sae -o "$T/out"
	says 'normalize -m m.msae |'
	[[ ! -e $T/out ]] || problem "an output appeared"
	normalize --undo -i x.sae -o "$T/undone"
	refused 65 sae-encode -m m.msae -i "$T/undone"
	ok sae-encode --as-is -m m.msae -i raw.sae
	silent
}

@test "sae-encode refuses what is not for its model" {
	plant-embeddings --rows 3 --dim 9 | normalize --fit >"$T/wide"
	refused 65 sae-encode -m m.msae -i "$T/wide"
	says "x is 9 wide"
	says "m.msae"
	refused 65 sae-encode -m m.msae -i z.sae
	says "no column x"
	says "z"
	refused 64 sae-encode -m m.msae -k 13 -i x.sae
	says "12"
	refused 65 sae-encode -m raw.npy -i x.sae
	says "raw.npy: "
	refused 65 sae-encode -m names.json -i x.sae
	says "names.json: "
	head -c -1 m.msae >"$T/cut"
	refused 65 sae-encode -m "$T/cut" -i x.sae
	says "$T/cut: "
	refused 64 env MSAE_CPU=z80 sae-encode -m m.msae -i x.sae
	says "plain"
}

# refused, where the command's first word may be env.
one_line() {
	[[ $(wc -l <"$ERR") -eq 1 ]] && grep -qE "^[a-z-]+: [^ ].*[:;] ?[^ ]" "$ERR" || problem "stderr should be one line: $last: $(heard)"
}

@test "models that are not whole are refused by name and reason" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		def save(name, change=None, drop=None, **meta):
		    m = random_model(8, 12)
		    if change:
		        change(m)
		    if drop:
		        del m[drop]
		    write_model(f"{sys.argv[1]}/{name}.msae", m, **meta)
		for t in ("W_enc", "b_enc", "W_dec", "b_dec", "mean", "scale"):
		    save("no " + t, drop=t)
		save("nan", lambda m: m["W_dec"].__setitem__((1, 2), np.nan))
		save("scale 0", lambda m: m["scale"].__setitem__(0, 0))
		save("shape", lambda m: m.update(W_dec=m["W_dec"].T))
		save("short", lambda m: m.update(b_enc=m["b_enc"][1:]))
		save("topk without k", architecture="topk")
		save("topk k 0", architecture="topk", k=0)
		save("topk k 13", architecture="topk", k=13)
		save("jumprelu without threshold", architecture="jumprelu")
		save("unknown", architecture="transformer")
		save("version", version="3")
		save("format", format="other")
		save("nesting", nesting="8,4")
		save("soft_cap", soft_cap="-1")
	E
	while IFS='~' read -r case want; do
		refused 65 sae-encode -m "$T/$case.msae" -i x.sae
		says "$T/$case.msae: "
		says "$want"
	done <<-'E'
		no W_enc~W_enc is missing
		no b_enc~b_enc is missing
		no W_dec~W_dec is missing
		no b_dec~b_dec is missing
		no mean~mean is missing
		no scale~scale is missing
		nan~W_dec
		scale 0~scale
		shape~W_dec has shape [8,12], expected [12,8]
		short~b_enc has shape [11]
		topk without k~k is missing
		topk k 0~k is "0"
		topk k 13~k is "13"
		jumprelu without threshold~threshold is missing
		unknown~transformer
		version~version is "3"
		format~"other"
		nesting~nesting is "8,4"
		soft_cap~soft_cap is "-1"
	E
}

# ---- topk ----

@test "topk: the K largest of each row, ties to the lowest latent, zeros never stored" {
	need_python
	for k in 1 2 3 7 19 20; do
		for how in "" --abs --batch "--batch --abs"; do
			case="-k $k $how"
			ok topk -k $k $how -i tied.sae -o "$T/z $k $how"
			for column in dense wide half; do
				ok topk -k $k $how --column $column -i tied.sae -o "$T/$column"
				write-embeddings --column z -i "$T/$column" "$T/$column.npy"
				write-embeddings --column z -i "$T/z $k $how" "$T/z.npy"
				same "$T/$column.npy" "$T/z.npy"
			done
		done
	done
	case=
	py "$T" <<-'E'
		import sys
		from sae import *
		_, cols = load("tied.sae")
		dense = cols["dense"]
		def batch(block, k, by):
		    order = by(block).ravel()
		    best = np.argsort(-order, kind="stable")[:k * len(block)]
		    out = np.zeros_like(block)
		    for i in best[order[best] > 0]:
		        out.flat[i] = block.flat[i]
		    return out
		for k in (1, 2, 3, 7, 19, 20):
		    for how, by in ("", lambda v: v), ("--abs", abs):
		        _, got = load(f"{sys.argv[1]}/z {k} {how}")
		        assert (got["z"] == keep(dense, k, by)).all(), (k, how)
		        _, got = load(f"{sys.argv[1]}/z {k} --batch{' ' + how if how else ''}")
		        want = np.concatenate([batch(dense[a:a + 25], k, by) for a in (0, 25, 50)])
		        assert (got["z"] == want).all(), (k, how, "batch")
		for f in frames(f"{sys.argv[1]}/z 7 --abs"):
		    if f["kind"] == "rows":
		        assert (np.frombuffer(f["cols"]["z"]["data"], "<f4") != 0).all(), "a zero is stored"
	E
}

@test "topk: K beyond the latents is 64, as is no K" {
	refused 64 topk -k 13 -i z.sae
	says "12"
	refused 64 topk -k 9 --column x -i x.sae
	says "8"
	refused 64 topk -i z.sae
	refused 64 topk -k 0 -i z.sae
	ok topk -k 12 -i z.sae
}

@test "topk selects from z, else x, else the column named; and names what is not there" {
	ok topk -k 2 -i x.sae -o "$T/a"
	ok topk -k 2 --column x -i x.sae -o "$T/b"
	write-embeddings --column z -i "$T/b" "$T/b.npy"
	ok write-embeddings --column z -i "$T/a" "$T/a.npy"
	same "$T/a.npy" "$T/b.npy"
	refused 65 topk -k 2 --column nothing -i z.sae
	says "no column nothing here (columns: "
	refused 65 topk -k 2 --column id -i z.sae
	says "column id"
	frames -i "$T/b" | head -n 1 | grep -q '"z":{"dtype":"<f4","shape":\[8\]}' || problem "z is not declared"
}

# ---- sae-decode ----

@test "sae-decode is z W_dec + b_dec" {
	need_python
	sae-encode -m m.msae --keep -i x.sae -o "$T/both"
	ok sae-decode -m m.msae -i z.sae -o "$T/a"
	ok sae-decode -m m.msae --keep -i "$T/both" -o "$T/b"
	py "$T" <<-'E'
		import sys
		from sae import *
		m, _ = read_model("m.msae")
		_, z = load("z.sae")
		want = decode(m, z["z"])
		(head, a), (_, b) = load(sys.argv[1] + "/a"), load(sys.argv[1] + "/b")
		np.testing.assert_allclose(a["xhat"], want, rtol=1e-5, atol=1e-6)
		assert a["xhat"].tobytes() == b["xhat"].tobytes()
		assert set(a) == {"id", "xhat"} and set(b) == {"id", "x", "z", "xhat"}
		assert head["cols"]["xhat"] == {"dtype": "<f4", "shape": [8]} and "z" not in head["cols"]
	E
}

@test "codes of one model are refused with another" {
	for case in "sae-decode -m other.msae" "concept-score -c other.json"; do
		refused 65 $case -i z.sae -o "$T/out"
		says "model"
		says "other."
		[[ ! -e $T/out ]] || problem "an output appeared"
	done
	case=
	refused 65 concept-score -c other.json -i z.sae --json
}

@test "codes that do not say which model made them are taken on trust, aloud" {
	frames --text --rows -i z.sae | sed 's/,"model":"[0-9a-f]*"//; s/,"sum":"[^"]*"//' | frames --pack >"$T/z"
	whole "$T/z" 40
	for case in "sae-decode -m m.msae" "concept-score -c names.json"; do
		ok $case -i "$T/z"
		says "on trust"
		ok $case -q -i "$T/z"
		silent
	done
	case=
	topk -k 2 --column x -i x.sae -o "$T/eight"
	refused 65 sae-decode -q -m m.msae -i "$T/eight"
	says "z has 8 latents, the model m.msae has 12"
}

@test "columns of the wrong form are refused, with the frame" {
	frames --text --rows -i z.sae | sed 's/"z":/"codes":/; s/,"sum":"[^"]*"//' | frames --pack >"$T/renamed"
	for case in "sae-decode -m m.msae" "concept-score -c names.json" "topk -k 1"; do
		refused 65 $case -i "$T/renamed"
		says "no column z here (columns: "
		says "rows 0-15"
	done
	frames --pack >"$T/dense" <<-'E'
		{"sae":1,"kind":"head","stream":"s","cols":{},"prov":[]}
		{"sae":1,"kind":"rows","seq":0,"row":5,"n":1,"cols":{"z":{"dtype":"<f4","shape":[1,2],"data":[[1,2]]}}}
		{"sae":1,"kind":"end","frames":1,"rows":1}
	E
	for case in "sae-decode -q -m m.msae" "concept-score -q -c names.json"; do
		refused 65 $case -i "$T/dense"
		says "column z is not sparse"
		says "rows 5-5"
	done
	sed 's/"data":\[\[1,2\]\]/"ptr":[0,1],"idx":[1],"data":["NaN"]/' <<-'E' | frames --pack >"$T/nan"
		{"sae":1,"kind":"head","stream":"s","cols":{},"prov":[]}
		{"sae":1,"kind":"rows","seq":0,"row":5,"n":1,"cols":{"z":{"dtype":"<f4","shape":[1,2],"data":[[1,2]]}}}
		{"sae":1,"kind":"end","frames":1,"rows":1}
	E
	for case in "sae-decode -q -m m.msae" "concept-score -q -c names.json" "topk -k 1" report; do
		refused 65 $case -i "$T/nan"
		says "row 5 holds NaN"
	done
}

# ---- concept-score ----

@test "concept-score puts the names into the head and leaves the codes alone" {
	write-embeddings --column z -i named.sae "$T/a.npy"
	write-embeddings --column z -i z.sae "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	need_python
	py <<-'E'
		from sae import *
		head, _ = load("named.sae")
		want = json.load(open("names.json"))
		assert [(c["latent"], c["name"], c["valid"]) for c in head["concepts"]] == [(c["latent"], c["name"], c["valid"]) for c in want["concepts"]]
		assert len(head["concepts"]) == 12
	E
}

@test "concept-score --json: a line a row, strongest first, with names, ids and labels" {
	need_python
	py "$T" <<-'E'
		import hashlib, sys
		from sae import *
		z = np.array([[0, .5, 2, 2, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], "<f4")
		model = "ab" * 32
		write(sys.argv[1] + "/z", stream({"z": sparse(z), "id": ["a", 'quo"te\n', "\u00fc"], "label": ["l0", "l1", "l2"]}, row=7, batch=2, model=model))
		names = [{"latent": 1, "name": "one"}, {"latent": 3, "name": "thr\"ee", "valid": True, "score": .5}, {"latent": 2, "name": "no good", "valid": False}, {"latent": 99, "name": "beyond"}]
		json.dump({"format": "msae-concepts", "version": 1, "model": model, "how": {}, "concepts": names, "unknown": 1}, open(sys.argv[1] + "/c.json", "w"))
	E
	ok concept-score -c "$T/c.json" --json -i "$T/z" -o "$T/all"
	ok concept-score -c "$T/c.json" --json --top 2 -i "$T/z" -o "$T/top"
	ok concept-score -c "$T/c.json" --json --only-valid -i "$T/z" -o "$T/valid"
	ok concept-score -c "$T/c.json" --json --top 99 -i "$T/z"
	same "$OUT" "$T/all"
	py "$T" <<-'E'
		import sys
		from sae import *
		def lines(name):
		    return [json.loads(line) for line in open(f"{sys.argv[1]}/{name}", encoding="utf-8")]
		def c(latent, name, value):
		    return {"latent": latent, "name": name, "value": value}
		want = [
		    {"row": 7, "id": "a", "label": "l0", "concepts": [c(2, None, 2.0), c(3, 'thr"ee', 2.0), c(1, "one", .5)]},
		    {"row": 8, "id": 'quo"te\n', "label": "l1", "concepts": []},
		    {"row": 9, "id": "\u00fc", "label": "l2", "concepts": [c(4, None, 5.0), c(3, 'thr"ee', 4.0), c(2, None, 3.0), c(1, "one", 2.0), c(0, None, 1.0)]}]
		assert lines("all") == want, lines("all")
		assert lines("top") == [{**w, "concepts": w["concepts"][:2]} for w in want], lines("top")
		assert lines("valid") == [{**w, "concepts": [x for x in w["concepts"] if x["name"]]} for w in want], lines("valid")
	E
}

@test "concept-score --csv: a line a code, as a reader of CSV reads it" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		z = np.array([[0, .5, 2, 0], [0, 0, 0, 0], [1, 0, 0, .1]], "<f4")
		model = "ab" * 32
		for name, cols in (("z", {"id": ['a,b "c"', "-", "line\nbreak\r"], "label": ["l0", "l1", "\u00fc"]}), ("bare", {})):
		    write(f"{sys.argv[1]}/{name}", stream({"z": sparse(z), **cols}, row=7, batch=2, model=model))
		names = [{"latent": 1, "name": "one, two"}, {"latent": 3, "name": 'thr"ee'}, {"latent": 2, "name": "no good", "valid": False}]
		json.dump({"format": "msae-concepts", "version": 1, "model": model, "how": {}, "concepts": names}, open(sys.argv[1] + "/c.json", "w"))
	E
	ok concept-score -c "$T/c.json" --csv -i "$T/z" -o "$T/all"
	ok concept-score -c "$T/c.json" --csv --top 1 -i "$T/z" -o "$T/top"
	ok concept-score -c "$T/c.json" --csv --only-valid -i "$T/z" -o "$T/valid"
	ok concept-score -c "$T/c.json" --csv -i "$T/bare" -o "$T/none"
	cat "$T/z" "$T/z" | concept-score -c "$T/c.json" --csv -o "$T/twice"
	py "$T" <<-'E'
		import csv, sys
		def lines(name):
		    return list(csv.reader(open(f"{sys.argv[1]}/{name}", encoding="utf-8", newline="")))
		head = ["row", "id", "label", "latent", "name", "value"]
		a, c = ["7", 'a,b "c"', "l0"], ["9", "line\nbreak\r", "\u00fc"]
		want = [[*a, "2", "", "2"], [*a, "1", "one, two", "0.5"], [*c, "0", "", "1"], [*c, "3", 'thr"ee', "0.1"]]
		assert lines("all") == [head, *want], lines("all")
		assert lines("top") == [head, want[0], want[2]], lines("top")
		assert lines("valid") == [head, want[1], want[3]], lines("valid")
		assert lines("none") == [head, *([w[0], "", "", *w[3:]] for w in want)], lines("none")
		assert lines("twice") == [head, *want, *want], lines("twice")
	E
	refused 64 concept-score -c "$T/c.json" --csv --json -i "$T/z"
}

@test "concept-score -m: how much of x each code explains, as JSON, CSV and for people" {
	need_python
	for form in json csv; do
		ok concept-score -c names.json -m m.msae --$form --top 2 -i zx.sae -o "$T/$form"
	done
	ok concept-score -m m.msae --json -i zx.sae -o "$T/bare"
	ok concept-score -c names.json -m m.msae --json --only-valid -i zx.sae -o "$T/valid"
	ok concept-score -c names.json -m m.msae --text --top 2 -i zx.sae
	cp "$OUT" "$T/text"
	py "$T" <<-'E'
		import csv, sys
		from sae import *
		T = sys.argv[1]
		m, _ = read_model("m.msae")
		m = {k: v.astype("f8") for k, v in m.items()}
		_, c = load("zx.sae")
		z, x = c["z"].astype("f8"), c["x"].astype("f8") - m["b_dec"]
		share = z * (x @ m["W_dec"].T) / (x ** 2).sum(1, keepdims=True)
		explained = (((z @ m["W_dec"]) * x).sum(1)) / (x ** 2).sum(1)
		def lines(name): return [json.loads(line) for line in open(f"{T}/{name}")]
		full = lines("bare")
		assert len(full) == 40
		for i, (row, top) in enumerate(zip(full, lines("json"))):
		    assert abs(row["explained"] - explained[i]) < 1e-6 and top["explained"] == row["explained"]
		    assert len(row["concepts"]) == (z[i] > 0).sum() and all(k["name"] is None for k in row["concepts"])
		    for k in row["concepts"]:
		        assert abs(k["share"] - share[i, k["latent"]]) < 1e-6
		    assert [(k["latent"], k["share"]) for k in top["concepts"]] == [(k["latent"], k["share"]) for k in row["concepts"][:2]] and top["concepts"][0]["name"]
		assert [r["explained"] for r in lines("valid")] == [r["explained"] for r in full]
		rows = list(csv.DictReader(open(f"{T}/csv")))
		assert len(rows) == np.minimum((z > 0).sum(1), 2).sum() and all(abs(float(r["share"]) - share[int(r["row"]), int(r["latent"])]) < 1e-5 for r in rows)
		text = open(f"{T}/text").read().split("\n\n")
		assert len(text) == 40 and text[3].startswith("row 3  row-3\n  latent  concept") and len(text[3].split("\n")) == 5
		assert text[3].split("\n")[-1] == f"  {(z[3] > 0).sum()} codes in all, which explain {100 * explained[3]:.1f} % of the row", text[3]
	E
	refused 64 concept-score -m m.msae -i zx.sae
	refused 64 concept-score -c names.json --text --csv -i zx.sae
	refused 65 concept-score -m m.msae --text -i z.sae
	says "column x"
	refused 65 concept-score -c names.json -m other.msae --text -i zx.sae
	says "another model"
	ok concept-score -c names.json --text --top 1 -i named.sae
	! grep -q explains "$OUT" || problem "shares out of nothing"
}

@test "concept-score --top and --only-valid change the stream too" {
	concept-score -c names.json --top 2 -i z.sae | write-embeddings --column z "$T/a.npy"
	topk -k 2 -i z.sae | write-embeddings --column z "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	sed 's/"latent":0,/&"valid":false,/; s/"valid":false,\(.*\)"valid":true/"valid":false,\1"was":true/' names.json >"$T/c.json"
	concept-score -c "$T/c.json" --only-valid -i z.sae | write-embeddings --column z "$T/a.npy"
	! cmp -s "$T/a.npy" "$T/b.npy" || problem "--only-valid changes nothing"
}

@test "concepts files that are none are refused by name and reason" {
	model=$(printf 'ab%.0s' {1..32})
	good="\"format\":\"msae-concepts\",\"version\":1,\"model\":\"$model\""
	while IFS='~' read -r case text want; do
		printf '%s' "${text//GOOD/$good}" >"$T/c.json"
		refused 65 concept-score -c "$T/c.json" -i z.sae
		says "$T/c.json: "
		says "$want"
	done <<-'E'
		empty~~empty
		no JSON~hello~concepts file
		cut~{GOOD,"concepts":[~concepts file
		a list~[]~format
		other format~{"format":"x","version":1}~format
		version~{"format":"msae-concepts","version":2}~version
		model~{"format":"msae-concepts","version":1,"model":"ab","concepts":[]}~SHA-256
		no list~{GOOD,"concepts":{}}~no list
		no latent~{GOOD,"concepts":[{"name":"a"}]}~concept 0
		negative~{GOOD,"concepts":[{"latent":-1,"name":"a"}]}~concept 0
		fraction~{GOOD,"concepts":[{"latent":0,"name":"a"},{"latent":1.5,"name":"a"}]}~concept 1
		large~{GOOD,"concepts":[{"latent":4294967296,"name":"a"}]}~concept 0
		twice~{GOOD,"concepts":[{"latent":3,"name":"a"},{"latent":3,"name":"b"}]}~latent 3
		no name~{GOOD,"concepts":[{"latent":3,"name":null}]}~name
		valid~{GOOD,"concepts":[{"latent":3,"name":"a","valid":1}]}~valid
		web~<!DOCTYPE html><html></html>~web page
	E
}

# ---- write-embeddings ----

@test "numpy loads what write-embeddings writes" {
	need_python
	read-embeddings raw.npy --limit 0 >"$T/none.sae"
	py "$T" <<-'E'
		import sys
		from sae import *
		cols = {"x": np.arange(10, dtype="<f8").reshape(5, 2), "deep": np.arange(30, dtype="<i2").reshape(5, 3, 2), "flat": np.arange(5, dtype="|u1"), "half": np.ones((5, 2), "<f2")}
		write(sys.argv[1] + "/types.sae", stream(cols, batch=2))
	E
	for case in "raw.sae x" "z.sae z" "$T/none.sae x" "$T/types.sae x" "$T/types.sae deep" "$T/types.sae flat" "$T/types.sae half"; do
		read -r file column <<<"$case"
		ok write-embeddings --column "$column" -i "$file" "$T/out.npy"
		write-embeddings --column "$column" -i "$file" - >"$T/pipe.npy"
		same "$T/pipe.npy" "$T/out.npy"
		py "$file" "$column" "$T/out.npy" <<-'E'
			import sys
			from sae import *
			_, cols = load(sys.argv[1])
			a, want = np.load(sys.argv[3]), cols[sys.argv[2]]
			assert a.dtype == want.dtype and a.shape == want.shape and a.tobytes() == want.tobytes(), (a.dtype, a.shape)
			assert a.flags.c_contiguous
		E
	done
}

@test "write-embeddings writes x, else xhat, and says what is not there" {
	sae-decode -m m.msae -i z.sae -o "$T/xhat"
	write-embeddings -i "$T/xhat" "$T/a.npy"
	write-embeddings --column xhat -i "$T/xhat" "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	refused 65 write-embeddings -i z.sae "$T/no.npy"
	says "--column"
	refused 65 write-embeddings --column id -i z.sae "$T/no.npy"
	says "text"
	refused 64 write-embeddings -i z.sae
	refused 64 write-embeddings -i z.sae a.npy b.npy
	plant-embeddings --rows 3 --dim 9 -o "$T/wide"
	refused 65 write-embeddings "$T/no.npy" < <(cat raw.sae "$T/wide")
	says "column x changes"
	[[ ! -e $T/no.npy ]] || problem "an output appeared"
}

@test "what went through read-embeddings and write-embeddings is the same file" {
	write-embeddings -i raw.sae "$T/a.npy"
	read-embeddings "$T/a.npy" | write-embeddings "$T/b.npy"
	same "$T/a.npy" "$T/b.npy"
	same "$T/a.npy" raw.npy
}

# ---- plant-embeddings ----

@test "planted rows are sums of planted directions, in any frames, from any row" {
	need_python
	plant-embeddings --rows 500 --dim 32 --concepts 20 --noise 0 --codes --seed 3 --truth "$T/m.msae" --names "$T/n.json" -o "$T/a"
	plant-embeddings --rows 300 --dim 32 --concepts 20 --noise 0 --codes --seed 3 -b 7 -t 3 -o "$T/b"
	plant-embeddings --rows 500 --dim 32 --concepts 20 --noise 0 --codes --seed 4 -o "$T/c"
	py "$T" <<-'E'
		import sys
		from sae import *
		(_, a), (_, b), (_, c) = (load(f"{sys.argv[1]}/{n}") for n in "abc")
		m, meta = read_model(sys.argv[1] + "/m.msae")
		assert (a["x"][:300] == b["x"]).all() and (a["planted"][:300] == b["planted"]).all()
		assert (a["x"] != c["x"]).mean() > .9
		planted = a["planted"].astype("f8")
		np.testing.assert_allclose(np.linalg.norm(m["W_dec"], axis=1), 1, rtol=1e-5)
		rest = a["x"] - planted @ m["W_dec"]
		np.testing.assert_allclose(rest, np.broadcast_to(rest[0], rest.shape), atol=1e-4)
		assert planted[planted != 0].min() >= 1 and 2 < (planted != 0).sum(1).mean() < 6
		assert a["id"][:2] == ["row-0", "row-1"] and len(set(a["id"])) == 500
		names = json.load(open(sys.argv[1] + "/n.json"))["concepts"]
		assert len({n["name"] for n in names}) == 20 and meta["rows"] == "500" and meta["seed"] == "3"
	E
}

@test "the planted model finds what was planted, and the pipeline brings rows back" {
	need_python
	plant-embeddings --rows 400 --dim 64 --concepts 24 --noise 0.05 --codes --truth "$T/m.msae" -o "$T/raw"
	normalize -m "$T/m.msae" -i "$T/raw" | sae-encode -m "$T/m.msae" --keep >"$T/z"
	sae-decode --keep -m "$T/m.msae" -i "$T/z" | normalize --undo >"$T/back"
	py "$T" <<-'E'
		import sys
		from sae import *
		(_, raw), (_, z), (_, back) = (load(f"{sys.argv[1]}/{n}") for n in ("raw", "z", "back"))
		on, found = raw["planted"] > 0, z["z"] > 0
		hit = (on & found).sum()
		assert hit / on.sum() > .9 and hit / found.sum() > .9, (hit, on.sum(), found.sum())
		spread = ((raw["x"] - raw["x"].mean(0))**2).sum()
		lost = ((raw["x"] - back["xhat"])**2).sum()
		assert lost / spread < .15, lost / spread
	E
}

@test "plant-embeddings refuses what cannot be planted" {
	for case in "--dim 0" "--concepts 0" "--active 0" "--active 30" "--noise -1" "--power -1" "--names n" "--rows many" "--active nan" "--dim 99999999"; do
		refused 64 plant-embeddings --concepts 48 $case
	done
}
