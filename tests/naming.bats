# name-concepts: which word is nearest to which latent.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world 40 16 32 20
	plant-embeddings --dim 32 --concepts 20 --active 3 --seed 5 --vocabulary -o words.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

names_of() { grep -o '"latent":[0-9]*,"name":"[^"]*"' "$1"; }

@test "the planted vocabulary names the planted latents" {
	ok name-concepts -m m.msae --min-ratio 1.2 -o "$T/c.json" <words.sae
	names_of names.json >"$T/want"
	names_of "$T/c.json" >"$T/got"
	same "$T/want" "$T/got"
	[[ $(grep -c '"valid":true' "$T/c.json") == 20 ]] || problem "not all valid"
	# what concept-score reads, it reads
	ok concept-score -c "$T/c.json" --json -i z.sae
	cp "$OUT" "$T/named"
	ok concept-score -c names.json --json -i z.sae
	same <(sed 's/"score":[^,}]*//g' "$OUT") <(sed 's/"score":[^,}]*//g' "$T/named")
}

@test "cosines, order and ratios, both ways, against numpy" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
r = np.random.default_rng(3)
sae.write_model(f"{sys.argv[1]}/m.msae", sae.random_model(7, 600, 2))
x = r.normal(size=(700, 7)) + 2
texts = [f"word {i}" for i in range(700)]
texts[5] = texts[600] = "zwölf"
x[9] = x[:].mean(0)
sae.write(f"{sys.argv[1]}/w.sae", sae.stream({"x": x.astype("f4"), "id": texts}, 300))
np.save(f"{sys.argv[1]}/x.npy", x.astype("f4"))
E
	for how in "" --published; do
		ok name-concepts -m "$T/m.msae" $how --best 4 --min-sim .9 --min-ratio 1.02 -o "$T/c.json" <"$T/w.sae"
		py "$T" "$how" <<'E'
import json
import sys
import numpy as np
import sae
d, how = sys.argv[1:]
t, _ = sae.read_model(f"{d}/m.msae")
x = np.load(f"{d}/x.npy").astype(float)
W = t["W_dec"].astype(float)
if how:
    W = W / float(t["scale"][0]) + t["mean"]
else:
    x = x - x.mean(0)
unit = lambda a: a / np.linalg.norm(a, axis=1, keepdims=True)
c = unit(x) @ unit(W).T
texts = [f"word {i}" for i in range(700)]
texts[5] = "zwölf"
c[5] = np.maximum(c[5], c[600])
c = np.delete(c, 600, 0)
texts = texts[:600] + texts[601:]
got = json.load(open(f"{d}/c.json"))
assert got["how"]["words"] == 700 and len(got["concepts"]) == 600
for k in got["concepts"]:
    col = c[:, k["latent"]]
    best = np.argsort(-col, kind="stable")[:4]
    assert [w for w, _ in k["words"]] == [texts[i] for i in best] or np.diff(np.sort(col)[-5:]).min() < 1e-5, k
    assert np.allclose([v for _, v in k["words"]], col[best], atol=6e-5)
    assert k["name"] == k["words"][0][0] and abs(k["score"] - col[best[0]]) < 1e-5
    assert abs(k["ratio"] - col[best[0]] / col[best[1]]) < 1e-4
    assert k["valid"] == (k["score"] >= .9 and k["ratio"] >= 1.02)
E
	done
}

@test "the same file for every number of threads and every frame size" {
	ok name-concepts -m m.msae -o "$T/a" <words.sae
	ok name-concepts -m m.msae -t 1 -o "$T/b" <words.sae
	same "$T/a" "$T/b"
	plant-embeddings --dim 32 --concepts 20 --active 3 --seed 5 --vocabulary -b 3 | name-concepts -m m.msae -o "$T/b"
	same <(names_of "$T/a") <(names_of "$T/b")
}

@test "what is refused" {
	refused 64 name-concepts -o "$T/c" <words.sae
	refused 64 name-concepts -m m.msae <words.sae
	says "-o FILE"
	refused 64 name-concepts -m m.msae --best 0 -o "$T/c" <words.sae
	refused 66 name-concepts -m none.msae -o "$T/c" <words.sae
	refused 73 name-concepts -m m.msae -o "$T/no/c" <words.sae
	normalize -m m.msae -i words.sae | {
		refused 65 name-concepts -m m.msae -o "$T/c"
		says "is normalised"
	}
	write-embeddings -i words.sae "$T/x.npy"
	read-embeddings "$T/x.npy" | {
		refused 65 name-concepts -m m.msae -o "$T/c"
		says "no column id"
	}
	plant-embeddings --dim 31 --vocabulary | {
		refused 65 name-concepts -m m.msae -o "$T/c"
		says "31 wide"
	}
	read-embeddings "$T/x.npy" --limit 0 --ids <(seq 20) 2>/dev/null | {
		refused 65 name-concepts -m m.msae -o "$T/c"
	}
	[[ ! -e $T/c ]] || problem "a file was written"
	refused 64 plant-embeddings --vocabulary --codes
}
