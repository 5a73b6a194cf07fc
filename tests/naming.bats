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
texts[5] = "zwölf"
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

@test "by data: the words nearest to a latent's strongest rows, against numpy" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
r = np.random.default_rng(8)
m = sae.random_model(9, 40, 2)
m["mean"] = r.normal(size=9).astype("f4")
m["scale"] = np.array([1.3], "f4")
sae.write_model(f"{sys.argv[1]}/m.msae", m)
x = (r.normal(size=(300, 9)) + m["mean"]).astype("f4")
w = (r.normal(size=(50, 9)) - 1).astype("f4")
sae.write(f"{sys.argv[1]}/w.sae", sae.stream({"x": w, "id": [f"word {i}" for i in range(50)]}, 20))
sae.write(f"{sys.argv[1]}/x.sae", sae.stream({"x": x}, 70))
np.save(f"{sys.argv[1]}/x.npy", x)
np.save(f"{sys.argv[1]}/w.npy", w)
E
	ok name-concepts -m "$T/m.msae" --data "$T/x.npy" --strongest 6 --best 3 --min-sim .5 -o "$T/c.json" <"$T/w.sae"
	ok name-concepts -m "$T/m.msae" --by data --data "$T/x.sae" --strongest 6 --best 3 --min-sim .5 -o "$T/s.json" <"$T/w.sae"
	same "$T/c.json" "$T/s.json"
	py "$T" <<'E'
import json
import sys
import numpy as np
import sae
d = sys.argv[1]
t, _ = sae.read_model(f"{d}/m.msae")
x = (np.load(f"{d}/x.npy").astype(float) - t["mean"]) * float(t["scale"][0])
w = np.load(f"{d}/w.npy").astype(float)
z = sae.encode(t, x)
unit = lambda a: a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-30)
for k in json.load(open(f"{d}/c.json"))["concepts"]:
    a = z[:, k["latent"]]
    best = np.argsort(-a, kind="stable")[:6]
    best = best[a[best] > 0]
    c = (unit(w - w.mean(0)) @ unit(((x[best] - t["b_dec"]) * a[best, None]).sum(0, keepdims=True)).T)[:, 0]
    order = np.argsort(-c, kind="stable")[:3]
    assert np.allclose([v for _, v in k["words"]], c[order], atol=1e-4), (k, c[order])
    assert k["name"] == f"word {order[0]}" and k["valid"] == (k["score"] >= .5)
E
}

@test "what is no name is not called one: directions without a meaning" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
r = np.random.default_rng(9)
sae.write_model(f"{sys.argv[1]}/m.msae", sae.random_model(24, 500, 5))
w = r.normal(size=(400, 24)).astype("f4")
sae.write(f"{sys.argv[1]}/w.sae", sae.stream({"x": w, "id": [f"word {i}" for i in range(400)]}))
E
	ok name-concepts -m "$T/m.msae" -o "$T/c.json" <"$T/w.sae"
	[[ $(grep -c '"valid":true' "$T/c.json") -le 5 ]] || problem "$(cat "$OUT")"
	ok name-concepts -m "$T/m.msae" --max-false 1 -o "$T/c.json" <"$T/w.sae"
	[[ $(grep -c '"valid":true' "$T/c.json") -gt 100 ]] || problem "--max-false 1 does nothing: $(cat "$OUT")"
}

@test "files are as docs/concepts.schema.json has them" {
	need_python
	name-concepts -m m.msae -o "$T/c.json" <words.sae >/dev/null
	name-concepts -m m.msae --data raw.npy -o "$T/d.json" <words.sae >/dev/null
	py "$ROOT/docs/concepts.schema.json" "$T/c.json" "$T/d.json" names.json <<'E'
import json
import re
import sys
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}

def is_type(v, t):
    if t in ("number", "integer"):
        return isinstance(v, int if t == "integer" else (int, float)) and not isinstance(v, bool)
    return isinstance(v, TYPES[t])

def check(v, s, at):
    known = {"$schema", "title", "description", "type", "const", "enum", "pattern", "minimum", "maximum", "required", "properties", "items", "prefixItems", "minItems", "maxItems"}
    assert set(s) <= known, set(s) - known
    if "type" in s:
        assert any(is_type(v, t) for t in ([s["type"]] if isinstance(s["type"], str) else s["type"])), (at, v)
    assert "const" not in s or v == s["const"], (at, v)
    assert "enum" not in s or v in s["enum"], (at, v)
    assert "pattern" not in s or re.search(s["pattern"], v), (at, v)
    if isinstance(v, (int, float)):
        assert s.get("minimum", v) <= v <= s.get("maximum", v), (at, v)
    if isinstance(v, dict):
        assert set(s.get("required", ())) <= set(v), (at, list(v))
        for k, w in v.items():
            check(w, s.get("properties", {}).get(k, {}), f"{at}.{k}")
    if isinstance(v, list):
        assert s.get("minItems", 0) <= len(v) <= s.get("maxItems", len(v)), at
        for i, w in enumerate(v):
            check(w, s["prefixItems"][i] if i < len(s.get("prefixItems", ())) else s.get("items", {}), f"{at}[{i}]")

schema = json.load(open(sys.argv[1]))
for path in sys.argv[2:]:
    check(json.load(open(path)), schema, path)
for bad in ({"format": "msae-concepts"}, dict(json.load(open(sys.argv[2])), version=2)):
    try:
        check(bad, schema, "bad")
    except AssertionError:
        continue
    raise SystemExit("the check lets everything pass")
E
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
	seq 20 | sed 's/^17$/3/' >"$T/twice.txt"
	read-embeddings "$T/x.npy" --ids "$T/twice.txt" | {
		refused 65 name-concepts -m m.msae -o "$T/c"
		says 'word 16, "3", came before'
	}
	read-embeddings "$T/x.npy" --ids <(seq 20) --limit 0 | {
		refused 65 name-concepts -m m.msae -o "$T/c"
	}
	refused 64 name-concepts -m m.msae --by data -o "$T/c" <words.sae
	says "needs --data"
	refused 64 name-concepts -m m.msae --by decoder --data raw.npy -o "$T/c" <words.sae
	refused 64 name-concepts -m m.msae --max-false 2 -o "$T/c" <words.sae
	refused 65 name-concepts -m m.msae --data x.sae -o "$T/c" <words.sae
	says "is normalised"
	refused 66 name-concepts -m m.msae --data none.npy -o "$T/c" <words.sae
	refused 65 name-concepts -m m.msae --data "$T/twice.txt" -o "$T/c" <words.sae
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
