# write-embeddings: what numpy and others read of what it writes.

load helper

setup_file() {
	pick_python
}

setup() {
	cd "$BATS_TEST_TMPDIR"
}

@test "npy, npz, safetensors: the same array, in every type" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(1).normal(size=(57, 9)).astype("<f4") * 100
		a[0, :6] = 0, -0.0, 65504, 6e-8, 2**-25, 1 + 2**-11
		np.save("a.npy", a)
	E
	ok read-embeddings a.npy -b 10 -o a.sae
	for t in "" f16 f32; do
		for f in npy npz safetensors; do
			case="$f $t"
			ok write-embeddings -i a.sae ${t:+--dtype $t} "out$t.$f"
			bounded write-embeddings -i a.sae ${t:+--dtype $t} --format $f - >"pipe$t.$f" || problem "to a pipe"
			same "out$t.$f" "pipe$t.$f"
			what=$(read-embeddings --list "out$t.$f") || problem "is not read back"
			[[ $what == *"57 x 9"* ]] || problem "is listed as $what"
		done
	done
	case=
	py <<-'E'
		from embfiles import *
		a = np.load("a.npy")
		for t in "", "f16", "f32":
		    want = a.astype("<f2") if t == "f16" else a
		    b = np.load(f"out{t}.npy")
		    assert b.dtype == want.dtype and b.tobytes() == want.tobytes(), t
		    with np.load(f"out{t}.npz") as z:
		        assert list(z) == ["x"] and z["x"].dtype == want.dtype and z["x"].tobytes() == want.tobytes(), t
		    with zipfile.ZipFile(f"out{t}.npz") as z:
		        assert z.testzip() is None and z.infolist()[0].compress_type == 0 and z.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)
		    data = open(f"out{t}.safetensors", "rb").read()
		    n = struct.unpack("<Q", data[:8])[0]
		    h = json.loads(data[8:8 + n])
		    assert (8 + n) % 8 == 0 and h == {"x": {"dtype": "F16" if t == "f16" else "F32", "shape": [57, 9], "data_offsets": [0, want.nbytes]}}, h
		    assert data[8 + n:] == want.tobytes(), t
	E
}

@test "codes become a CSR matrix as scipy saves it, or dense" {
	need_python
	small_world
	ok write-embeddings -i z.sae --column z z.npz
	ok write-embeddings -i z.sae --column z --dtype f16 half.npz
	ok write-embeddings -i z.sae --column z z.npy
	ok write-embeddings -i z.sae --column z z.safetensors
	cat z.sae | bounded write-embeddings --column z --format npz - >pipe.npz || problem "to a pipe"
	same z.npz pipe.npz
	py <<-'E'
		from embfiles import *
		import sae
		dense = np.load("z.npy")
		assert dense.shape == (40, 12) and (dense != 0).any()
		for name, t in ("z", "<f4"), ("half", "<f2"):
		    with zipfile.ZipFile(name + ".npz") as z:
		        assert z.namelist() == ["indices.npy", "indptr.npy", "format.npy", "shape.npy", "data.npy"] and z.testzip() is None
		    with np.load(name + ".npz") as z:
		        assert z["format"].item() == b"csr" and z["format"].dtype.str == "|S3" and z["format"].shape == ()
		        assert z["shape"].tolist() == [40, 12] and z["shape"].dtype.str == "<i8"
		        assert z["indices"].dtype.str == z["indptr"].dtype.str == "<i4" and z["data"].dtype.str == t
		        ptr, idx, val = z["indptr"], z["indices"], z["data"]
		    assert len(ptr) == 41 and ptr[0] == 0 and ptr[-1] == len(idx) == len(val)
		    got = np.zeros_like(dense)
		    for i in range(40):
		        got[i, idx[ptr[i]:ptr[i + 1]]] = val[ptr[i]:ptr[i + 1]]
		    assert np.array_equal(got, dense if t == "<f4" else dense.astype("<f2").astype("<f4"))
	E
	tail -c $((40 * 12 * 4)) z.npy >want
	tail -c $((40 * 12 * 4)) z.safetensors | cmp -s - want || problem "dense in safetensors is something else"
}

@test "no rows" {
	need_python
	small_world
	ok read-embeddings raw.npy --limit 0 -o none.sae
	normalize -m m.msae -i none.sae | sae-encode -m m.msae -o nonez.sae
	for f in npy npz safetensors; do
		ok write-embeddings -i none.sae none.$f
		ok read-embeddings none.$f -o back.sae
		whole back.sae 0
	done
	ok write-embeddings -i nonez.sae --column z nonez.npz
	py <<-'E'
		import numpy as np
		with np.load("none.npz") as z:
		    assert z["x"].shape == (0, 8)
		with np.load("nonez.npz") as z:
		    assert z["indptr"].tolist() == [0] and len(z["indices"]) == len(z["data"]) == 0 and z["shape"].tolist() == [0, 12]
	E
}

@test "what cannot be written is refused, and nothing appears" {
	small_world
	cat >big.txt <<-'E'
		{"sae":1,"kind":"head","stream":"t","cols":{}}
		{"sae":1,"kind":"rows","seq":0,"row":0,"n":1,"cols":{"x":{"dtype":"<f4","shape":[1,2],"data":[1,2]}}}
		{"sae":1,"kind":"rows","seq":1,"row":1,"n":2,"cols":{"x":{"dtype":"<f4","shape":[2,2],"data":[1,65504,70000,3]}}}
		{"sae":1,"kind":"end","frames":2,"rows":3}
	E
	frames --pack -i big.txt -o big.sae
	for f in npy npz safetensors; do
		refused 65 write-embeddings -i big.sae --dtype f16 out.$f
		says "row 2: holds 70000"
		ok write-embeddings -i big.sae --dtype f32 whole.$f
		head -c 700 raw.sae >cut.sae
		refused 65 write-embeddings -i cut.sae out.$f
		refused 73 write-embeddings -i big.sae no/such/dir.$f
		case=$f
		[[ -z $(ls out* 2>/dev/null) ]] || problem "something appeared: $(ls out*)"
	done
	case=
	sed 's/"x":{"dtype":"<f4","shape":\[\([0-9]\),2\],"data":\[[0-9,]*\]}/"z":{"dtype":"<f4","shape":[\1,2],"ptr":[0,1,1],"idx":[1],"data":[70000]}/' big.txt | sed 's/"shape":\[1,2\],"ptr":\[0,1,1\]/"shape":[1,2],"ptr":[0,1]/' | frames --pack -o bigz.sae
	refused 65 write-embeddings -i bigz.sae --column z --dtype f16 outz.npz
	says "70000"
	ok write-embeddings -i bigz.sae --column z wholez.npz
	[[ ! -e outz.npz ]] || problem "outz.npz appeared"
	refused 74 write-embeddings -i big.sae --format npz /dev/full
	refused 74 write-embeddings -i big.sae --format safetensors /dev/full
	refused 64 write-embeddings -i big.sae --dtype f64 out.npy
	refused 64 write-embeddings -i big.sae --format csv out.npy
	refused 64 write-embeddings -i big.sae a.npy b.npy
}
