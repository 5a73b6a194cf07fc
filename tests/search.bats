# concept-search: the rows that are nearest to concepts, words and other rows.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world 60 16 16 20
	plant-embeddings --dim 16 --concepts 20 --active 3 --seed 5 --vocabulary -o words.sae
	plant-embeddings --rows 5 --dim 16 --concepts 20 --seed 6 --truth other.msae --names other.json -o other.sae
	write-embeddings -i words.sae words.npy
	[[ -z $PYTHON ]] || "$PYTHON" -c 'import json; print("\n".join(c["name"] for c in json.load(open("names.json"))["concepts"]))' >words.txt
	read-embeddings raw.npy --ids ids.txt --labels <(seq -f 'class %.0f' 1 60) | normalize -m m.msae -o labelled.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# check SCRIPT...: what the last try printed as --json lines, in `hits[query]`
# as (row, score), against numpy's; `want(query, scores, n)` compares.
check() {
	cat >"$T/check.py" <<-'E'
		import sys
		from sae import *
		hits = {}
		for line in open(sys.argv[1]):
		    h = json.loads(line)
		    hits.setdefault(h["query"], []).append((h["row"], h["score"]))
		    assert h["rank"] == len(hits[h["query"]])
		unit = lambda a: a / np.linalg.norm(a, axis=-1, keepdims=True)
		m, _ = read_model("m.msae")
		m = {k: v.astype("f8") for k, v in m.items()}
		_, x = load("x.sae")
		_, z = load("z.sae")
		x, z, raw = x["x"].astype("f8"), z["z"].astype("f8"), np.load("raw.npy").astype("f8")
		names = [c["name"] for c in json.load(open("names.json"))["concepts"]]
		latent = {n: c["latent"] for n, c in zip(names, json.load(open("names.json"))["concepts"])}
		W = np.load("words.npy").astype("f8")
		word = lambda n: unit(W - W.mean(0))[names.index(n)]
		def want(query, scores, n, rows=None):
		    order = np.argsort(-scores, kind="stable")[:n]
		    got = hits.pop(query)
		    assert len(got) == len(order), (query, len(got), len(order))
		    np.testing.assert_allclose([s for _, s in got], scores[order], atol=3e-6, err_msg=query)
		    assert [r for r, _ in got] == list(order), (query, got, order)
	E
	cat >>"$T/check.py"
	echo 'assert not hits, list(hits)' >>"$T/check.py"
	py "$OUT" <"$T/check.py"
}

@test "concepts over codes: cosine with weights on latents" {
	need_python
	ok concept-search -c names.json -q zebra -q 'zebra + 2*beach - mountain' -q '#3' -q '.5*7' -n 4 --json <z.sae
	check <<-'E'
		def codes(query, n, **w):
		    q = np.zeros(20)
		    for k, v in w.items():
		        q[latent[k] if k in latent else int(k[1:])] += v
		    some = z @ q != 0
		    scores = np.where(some, unit(z + 1e-300) @ unit(q), -9)
		    want(query, scores, min(n, some.sum()))
		codes("zebra", 4, zebra=1)
		codes("zebra + 2*beach - mountain", 4, zebra=1, beach=2, mountain=-1)
		codes("#3", 4, n3=1)
		codes(".5*7", 4, n7=.5)
	E
}

@test "a name of several latents is all of them, with length 1" {
	need_python
	sed 's/"name":"beach"/"name":"zebra"/' names.json >"$T/two.json"
	ok concept-search -c "$T/two.json" -q 'zebra + mountain' -n 5 --json <z.sae
	check <<-'E'
		q = np.zeros(20)
		q[[latent["zebra"], latent["beach"]]] = .5 ** .5
		q[latent["mountain"]] = 1
		some = z @ q != 0
		want("zebra + mountain", np.where(some, unit(z + 1e-300) @ unit(q), -9), min(5, some.sum()))
	E
	ok concept-search -c "$T/two.json" -m m.msae -q 'zebra + mountain' -n 5 --json <x.sae
	check <<-'E'
		D = unit(m["W_dec"])
		q = unit(D[latent["zebra"]] + D[latent["beach"]]) + D[latent["mountain"]]
		want("zebra + mountain", unit(x) @ unit(q), 5)
	E
}

@test "concepts over embeddings: directions of the decoder" {
	need_python
	ok concept-search -c names.json -m m.msae -q zebra -q 'zebra - 3*beach' -n 100 --json <x.sae
	check <<-'E'
		D = unit(m["W_dec"])
		want("zebra", unit(x) @ D[latent["zebra"]], 100)
		want("zebra - 3*beach", unit(x) @ unit(D[latent["zebra"]] - 3 * D[latent["beach"]]), 100)
	E
}

@test "words over embeddings, normalised and raw; from files and from a stream" {
	need_python
	for in in x raw; do
		ok concept-search --words words.npy --ids words.txt -q zebra -q 'zebra + beach' -n 7 --json <$in.sae
		cp "$OUT" "$T/files"
		check <<-E
			rows = unit($in)
			want("zebra", rows @ word("zebra"), 7)
			want("zebra + beach", rows @ unit(word("zebra") + word("beach")), 7)
		E
		read-embeddings words.npy --ids words.txt -b 3 -o "$T/words.sae"
		ok concept-search --words "$T/words.sae" -q zebra -q 'zebra + beach' -n 7 --json <$in.sae
		same "$OUT" "$T/files"
	done
}

@test "rows like others, over embeddings as the stream was normalised, over codes as encoded" {
	need_python
	ok concept-search --like raw.npy -n 3 --json <x.sae
	check <<-'E'
		for i in range(60):
		    want(f"raw.npy#{i}", unit(x) @ unit(x)[i], 3)
	E
	ok concept-search --like raw.npy -n 3 --json <raw.sae
	check <<-'E'
		for i in range(60):
		    want(f"raw.npy#{i}", unit(raw) @ unit(raw)[i], 3)
	E
	normalize --l2 -m m.msae -i raw.sae -o "$T/l2.sae"
	ok concept-search --like raw.npy -n 3 --json <"$T/l2.sae"
	check <<-'E'
		l2 = (unit(raw) - m["mean"]) * m["scale"]
		for i in range(60):
		    want(f"raw.npy#{i}", unit(l2) @ unit(l2)[i], 3)
	E
	ok concept-search --like raw.npy -m m.msae -c names.json -q zebra -n 2 --json <z.sae
	check <<-'E'
		q = np.zeros(20)
		q[latent["zebra"]] = 1
		want("zebra", np.where(z @ q > 0, unit(z + 1e-300) @ q, -9), 2)
		for i in range(60):
		    scores = unit(z + 1e-300) @ unit(z + 1e-300)[i]
		    want(f"raw.npy#{i}", scores, 2)
	E
}

@test "words over codes are encoded" {
	need_python
	ok concept-search --words words.sae -m m.msae -q zebra -n 3 --json <z.sae
	check <<-'E'
		q = word("zebra") * 4
		q = np.maximum((q - m["b_dec"]) @ m["W_enc"] + m["b_enc"], 0)
		some = z @ q != 0
		want("zebra", np.where(some, unit(z + 1e-300) @ unit(q), -9), 3)
	E
}

@test "xhat and columns by name; codes come before embeddings" {
	sae-decode -m m.msae -i z.sae -o "$T/xhat.sae"
	ok concept-search -c names.json -m m.msae -q zebra <"$T/xhat.sae"
	ok concept-search -c names.json -q zebra <zx.sae
	cp "$OUT" "$T/z"
	ok concept-search -c names.json -q zebra <z.sae
	same "$OUT" "$T/z"
	ok concept-search -c names.json -m m.msae -q zebra --column x <zx.sae
	cp "$OUT" "$T/x"
	ok concept-search -c names.json -m m.msae -q zebra <x.sae
	same "$OUT" "$T/x"
	refused 65 concept-search -c names.json -q zebra --column y <z.sae
	says "no column y"
	refused 65 concept-search -c names.json -q zebra --column id <z.sae
}

@test "what is printed: tables, JSON, CSV; ids, labels and row numbers of the stream" {
	cat >"$T/c" <<-'E'
		{"sae":1,"kind":"head","stream":"s","cols":{"z":{"dtype":"<f4","shape":[3]},"id":{"dtype":"str","shape":[]},"label":{"dtype":"str","shape":[]}},"prov":[]}
		{"sae":1,"kind":"rows","seq":0,"row":70,"n":3,"cols":{"z":{"dtype":"<f4","shape":[3,3],"ptr":[0,1,3,3],"idx":[0,0,1],"data":[2,3,4]},"id":{"dtype":"str","shape":[3],"data":["a, \"b\"","ü","nobody"]},"label":{"dtype":"str","shape":[3],"data":["cat","dog\u001b[31m","x"]}}}
		{"sae":1,"kind":"end","frames":1,"rows":3}
	E
	frames --pack <"$T/c" >"$T/z.sae"
	ok concept-search -q '#0' -q '#2' <"$T/z.sae"
	printf '%s\n' '#0' '  rank  row   score  label        id' '     1   70  1.0000  cat          a, "b"' '     2   71  0.6000  dog\x1b[31m  ü' '' \
		'#2' '  no row has anything of it' >"$T/want"
	same "$OUT" "$T/want"
	ok concept-search -q '#0' -q '#2' --json <"$T/z.sae"
	cat >"$T/want" <<-'E'
		{"query":"#0","rank":1,"row":70,"score":1.0,"id":"a, \"b\"","label":"cat"}
		{"query":"#0","rank":2,"row":71,"score":0.6,"id":"ü","label":"dog\u001B[31m"}
	E
	same "$OUT" "$T/want"
	ok concept-search -q '#0' -n 1 --csv <"$T/z.sae"
	printf '%s\n' query,rank,row,score,id,label '#0,1,70,1.000000,"a, ""b""",cat' >"$T/want"
	same "$OUT" "$T/want"
	ok concept-search --like raw.npy -n 2 --csv <labelled.sae
	grep -q '^raw.npy#59,1,59,1.000000,row-59,class 60$' "$OUT" || problem "$(tail -n 2 "$OUT")"
}

@test "ties go to the lower row, over frames and streams" {
	cat raw.sae raw.sae raw.sae >"$T/three"
	ok concept-search --like raw.npy -n 4 --csv <"$T/three"
	[[ $(grep '^raw.npy#7,' "$OUT" | head -n 3 | cut -d, -f 2-4) == $'1,7,1.000000\n2,7,1.000000\n3,7,1.000000' ]] || problem "$(grep '#7,' "$OUT")"
	cat z.sae z.sae | concept-search -c names.json -q zebra -n 1 --csv >"$T/a"
	concept-search -c names.json -q zebra -n 1 --csv <z.sae >"$T/b"
	same "$T/a" "$T/b"
	cat x.sae raw.sae | {
		refused 65 concept-search --like raw.npy
		says "stream before"
	}
	cat x.sae z.sae | refused 65 concept-search --like raw.npy -m m.msae
}

@test "queries from a file, many at once" {
	printf 'zebra\r\nzebra + beach\n#1' >"$T/q"
	ok concept-search -c names.json -Q "$T/q" -n 2 --csv <z.sae
	cp "$OUT" "$T/file"
	ok concept-search -c names.json -q zebra -q 'zebra + beach' -q '#1' -n 2 --csv <z.sae
	same "$OUT" "$T/file"
	printf 'zebra\n\nbeach\n' >"$T/q"
	refused 65 concept-search -c names.json -Q "$T/q" <z.sae
	says "line 2: empty"
	printf 'zebra\nzebr\n' >"$T/q"
	refused 65 concept-search -c names.json -Q "$T/q" <z.sae
	says "line 2: no concept 'zebr'; did you mean zebra?"
	: >"$T/q"
	refused 65 concept-search -c names.json -Q "$T/q" <z.sae
	says "no queries"
	for i in $(seq 0 300); do echo "#$((i % 20)) + $i*zebra"; done >"$T/q"
	ok concept-search -c names.json -Q "$T/q" -n 3 --csv <z.sae
}

@test "what cannot be looked for, and why" {
	refused 64 concept-search -c names.json -q '' <z.sae
	says "empty"
	refused 64 concept-search -c names.json -q zebr <z.sae
	says "did you mean zebra?"
	refused 64 concept-search -c names.json -q 'zebra +' <z.sae
	refused 64 concept-search -q zebra <z.sae
	says "-c"
	refused 64 concept-search --words words.sae -q zebr -m m.msae <z.sae
	says "no word 'zebr'; did you mean zebra?"
	refused 64 concept-search --words words.sae -q '#1' <x.sae
	refused 64 concept-search -c names.json -q '#20' <z.sae
	says "there are 20"
	refused 65 concept-search -c names.json -q 'zebra - zebra' <z.sae
	says "adds up to nothing"
	refused 65 concept-search -c names.json -m m.msae -q 'zebra - zebra' <x.sae
	refused 65 concept-search -c names.json -q '0*zebra' <z.sae
	refused 65 concept-search -c names.json -q '1.1*zebra - zebra - .1*zebra' <z.sae
	sed 's/"latent":3,"name":"[^"]*","valid":true/"latent":3,"name":"hidden","valid":false/' names.json >"$T/hidden.json"
	refused 64 concept-search -c "$T/hidden.json" -q 'zebra + hidden' <z.sae
	says "#3"
	echo hidden >"$T/q"
	refused 65 concept-search -c "$T/hidden.json" -Q "$T/q" <z.sae
	says "line 1"
	refused 64 concept-search -c names.json --words words.sae -q zebra <x.sae
	refused 64 concept-search -c names.json <x.sae
	refused 64 concept-search -q '#1' --json --csv <z.sae
	refused 64 concept-search -q '#1' -n 0 <z.sae
	refused 64 concept-search -q '#1' -n 1000001 <z.sae
	refused 64 concept-search -q '#1' --ids words.txt <z.sae
	refused 64 concept-search -c names.json -q zebra <x.sae
	says "-m MODEL is needed"
	refused 64 concept-search --like raw.npy <z.sae
	says "-m MODEL is needed"
	refused 65 concept-search -c names.json -m m.msae -q zebra <raw.sae
	says "normalize -m"
}

@test "files that do not belong together" {
	refused 65 concept-search -c other.json -q zebra <z.sae
	says "another model"
	refused 65 concept-search -c other.json -m m.msae -q zebra <x.sae
	says "another model"
	refused 65 concept-search -m other.msae --like raw.npy <z.sae
	says "another model"
	plant-embeddings --rows 5 --dim 7 --concepts 20 | write-embeddings "$T/7.npy"
	refused 65 concept-search --like "$T/7.npy" <x.sae
	says "7 wide"
	seq 5 >"$T/5.txt"
	refused 65 concept-search --words "$T/7.npy" --ids "$T/5.txt" -q 1 <x.sae
	says "7 wide"
	seq 4 >"$T/4.txt"
	refused 65 concept-search --words "$T/7.npy" --ids "$T/4.txt" -q 1 <x.sae
	refused 65 concept-search --words x.sae -q 1 <x.sae
	says "is normalised"
	read-embeddings words.npy -o "$T/nameless.sae"
	refused 65 concept-search --words "$T/nameless.sae" -q 1 <x.sae
	says "which word is which"
	refused 65 concept-search --words words.npy -q 1 <x.sae
	head -c 1000 words.sae >"$T/cut.sae"
	refused 65 concept-search --words "$T/cut.sae" -q 1 <x.sae
	read-embeddings raw.npy --ids ids.txt --limit 1 -o "$T/one.sae"
	refused 65 concept-search --words "$T/one.sae" -q row-0 <x.sae
	says "mean of all words"
}

@test "NaN and zeros" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		x = np.load("raw.npy")
		x[3] = 0
		write(sys.argv[1] + "/zero.sae", stream({"x": x}))
		np.save(sys.argv[1] + "/zero.npy", x[3:4])
		x[5, 2] = np.nan
		write(sys.argv[1] + "/nan.sae", stream({"x": x}))
		np.save(sys.argv[1] + "/nan.npy", x)
		np.save(sys.argv[1] + "/none.npy", x[:0])
		np.save(sys.argv[1] + "/huge.npy", np.full((1, 16), 3e38, "f4"))
		np.save(sys.argv[1] + "/tiny.npy", np.full((1, 16), 1e-40, "f4"))
	E
	ok concept-search --like raw.npy -n 100 --csv <"$T/zero.sae"
	! grep -q '^raw.npy#3,[0-9]*,3,' "$OUT" || problem "a row of zeros is a hit"
	[[ $(grep -c '^raw.npy#3,' "$OUT") == 59 ]] || problem "not all others are"
	refused 65 concept-search --like raw.npy <"$T/nan.sae"
	says "row 5"
	refused 65 concept-search --like "$T/nan.npy" <x.sae
	says "NaN"
	refused 65 concept-search --like "$T/none.npy" <x.sae
	says "no rows"
	ok concept-search --like "$T/huge.npy" <raw.sae
	cut -c 1-30 "$OUT" | tail -n +2 >"$T/huge"
	ok concept-search --like "$T/tiny.npy" <raw.sae
	same <(cut -c 1-30 "$OUT" | tail -n +2) "$T/huge"
	refused 65 concept-search --like "$T/huge.npy" -m m.msae <z.sae
	refused 65 concept-search --like "$T/zero.npy" <raw.sae
	says "zeros"
}
