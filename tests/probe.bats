# probe: linear probes, fitted, applied and scored.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	# three classes in ten dimensions, some rows on the wrong side; of any length
	awk 'BEGIN { srand(4); for (i = 0; i < 600; i++) print i % 3 == 0 ? "ant" : i % 3 == 1 ? "bee" : "?" (i % 2) }' |
		sed 's/^?0/cat/; s/^?1/cat/' >labels.txt
	[[ -z $PYTHON ]] || "$PYTHON" - <<'E'
import numpy as np
r = np.random.default_rng(5)
y = np.arange(600) % 3
x = r.normal(size=(600, 10)) + .7 * r.normal(size=(3, 10))[y]
x *= r.uniform(.5, 20, size=(600, 1))
np.save("p.npy", x.astype("f4"))
E
	[[ ! -e p.npy ]] || read-embeddings p.npy --labels labels.txt -b 64 -o p.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
	need_python
}

@test "what is fitted is the minimum: the gradient there is nothing, by numpy" {
	ok probe --fit "$T/p.probe" --l2 .01 --hold-out 0 -i p.sae
	py "$T/p.probe" <<'E'
import json, struct, sys
import numpy as np
b = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", b[:8])[0]
head = json.loads(b[8:8 + n])
def tensor(name):
    t = head[name]; a, z = t["data_offsets"]
    return np.frombuffer(b[8 + n + a:8 + n + z], "<f4").reshape(t["shape"]).astype(float)
W, c = tensor("W"), tensor("b")
x = np.load("p.npy").astype(float)
u = x / np.linalg.norm(x, axis=1, keepdims=True)
mean, sd = u.mean(0), u.std(0)
v = (u - mean) / sd
names = json.loads(head["__metadata__"]["classes"])
assert sorted(names) == ["ant", "bee", "cat"]
y = np.array([names.index(l.strip()) for l in open("labels.txt")])
V = W * sd[:, None]
def objective(V, c):
    l = v @ V + c
    l -= l.max(1, keepdims=True)
    p = np.exp(l); p /= p.sum(1, keepdims=True)
    g = p.copy(); g[np.arange(len(y)), y] -= 1
    return -np.log(p[np.arange(len(y)), y]).mean() + .005 * (V ** 2).sum(), v.T @ g / len(y) + .01 * V, g.mean(0)
f, gV, gc = objective(V, c + mean @ W)
start, g0, _ = objective(0 * V, 0 * c)
assert np.abs(gV).max() < 2e-4 * np.abs(g0).max() and np.abs(gc).max() < 2e-4, (np.abs(gV).max(), np.abs(gc).max(), np.abs(g0).max())
assert f < start
E
}

@test "normalised or raw, other frames and threads: the same probe" {
	ok probe --fit "$T/a" --seed 3 -i p.sae
	ok probe --fit "$T/b" --seed 3 -t 3 -i p.sae
	same "$T/a" "$T/b"
	sae rebatch p.sae "$T/b.sae" 7
	ok probe --fit "$T/b" --seed 3 -i "$T/b.sae"
	same "$T/a" "$T/b"
	normalize --fit -i p.sae | probe --fit "$T/n" --seed 3 >"$T/said"
	probe --apply "$T/a" --score --json -i p.sae >"$T/a.json"
	normalize --fit -i p.sae | probe --apply "$T/n" --score --json >"$T/n.json"
	py "$T" <<'E'
import json, sys
a, n = (json.load(open(f"{sys.argv[1]}/{f}.json")) for f in "an")
assert abs(a["accuracy"] - n["accuracy"]) < .003 and abs(a["log_loss"] - n["log_loss"]) < 1e-3, (a, n)
assert .6 < a["accuracy"] < 1
E
}

@test "predictions and probabilities, and their score, against numpy" {
	probe --fit "$T/p.probe" --l2 .01 -i p.sae >"$T/said"
	grep -q '^trained on 4[78][0-9] rows (ant 1[56][0-9], bee 1[56][0-9], cat 1[56][0-9])' "$T/said" || problem "class counts are not told: $(cat "$T/said")"
	ok probe --apply "$T/p.probe" -i p.sae
	whole "$OUT" 600
	cp "$OUT" "$T/out.sae"
	ok probe --apply "$T/p.probe" --score --json -i p.sae -o "$T/score.json"
	ok probe --apply "$T/p.probe" --score --csv -i p.sae -o "$T/score.csv"
	ok probe --apply "$T/p.probe" --score -i p.sae
	grep -q 'accuracy' "$OUT" && grep -q 'macro F1' "$OUT" || problem "no accuracy, no macro F1"
	py "$T" <<'E'
import csv, json, sys
import numpy as np
import sae
T = sys.argv[1]
prob, predicted = [], []
for f in sae.frames(f"{T}/out.sae"):
    if f["kind"] == "rows":
        c = f["cols"]["prob"]
        prob.append(np.frombuffer(c["data"], c["dtype"]).reshape(c["shape"]))
        predicted += f["cols"]["predicted"]["data"]
    elif f["kind"] == "head":
        classes = f["classes"]
prob = np.concatenate(prob)
assert np.allclose(prob.sum(1), 1, atol=1e-5)
assert [classes[i] for i in prob.argmax(1)] == predicted
y = [l.strip() for l in open("labels.txt")]
s = json.load(open(f"{T}/score.json"))
assert abs(s["accuracy"] - np.mean([a == b for a, b in zip(y, predicted)])) < 1e-9
f1 = []
for k in classes:
    tp = sum(a == b == k for a, b in zip(y, predicted)); fp = sum(b == k != a for a, b in zip(y, predicted)); fn = sum(a == k != b for a, b in zip(y, predicted))
    f1.append(2 * tp / (2 * tp + fp + fn))
assert abs(s["macro_f1"] - np.mean(f1)) < 1e-9, (s, f1)
loss = -np.mean([np.log(prob[i, classes.index(l)]) for i, l in enumerate(y)])
assert abs(s["log_loss"] - loss) < 1e-5
rows = list(csv.DictReader(open(f"{T}/score.csv")))
assert sum(int(r["rows"]) for r in rows) == 600
for r in rows:
    assert int(r["rows"]) == sum(a == r["label"] and b == r["predicted"] for a, b in zip(y, predicted))
E
}

@test "two classes: the exact AUC" {
	sed 's/cat/?/' labels.txt >"$T/two.txt"
	read-embeddings p.npy --labels "$T/two.txt" -o "$T/two.sae"
	ok probe --fit "$T/two.probe" --l2 .1 --ignore '?' -i "$T/two.sae"
	probe --apply "$T/two.probe" -i "$T/two.sae" -o "$T/out.sae"
	ok probe --apply "$T/two.probe" --score --ignore '?' --json -i "$T/two.sae" -o "$T/score.json"
	py "$T" <<'E'
import json, sys
import numpy as np
import sae
T = sys.argv[1]
p = np.concatenate([np.frombuffer(f["cols"]["prob"]["data"], "<f4").reshape(-1, 2) for f in sae.frames(f"{T}/out.sae") if f["kind"] == "rows"]).astype(float)
y = np.array([l.strip() for l in open(f"{T}/two.txt")])
a, b = p[y == "ant", 0], p[y == "bee", 0]
auc = (a[:, None] > b).mean() + .5 * (a[:, None] == b).mean()
s = json.load(open(f"{T}/score.json"))
assert abs(max(s["auc"], 1 - s["auc"]) - max(auc, 1 - auc)) < 1e-4, (s["auc"], auc)
assert s["rows"] == 400
E
}

@test "what cannot be fitted or applied" {
	read-embeddings p.npy -o "$T/none.sae"
	refused 65 probe --fit "$T/x" -i "$T/none.sae"
	says "no column label"
	yes one | head -n 600 >"$T/one.txt"
	read-embeddings p.npy --labels "$T/one.txt" -o "$T/one.sae"
	refused 65 probe --fit "$T/x" -i "$T/one.sae"
	says "class"
	[[ ! -e $T/x ]] || problem "a file is left behind"
	py "$T" <<'E'
import sys
import numpy as np
x = np.load("p.npy"); x[17] = 0
np.save(f"{sys.argv[1]}/zero.npy", x)
np.save(f"{sys.argv[1]}/wide.npy", np.ones((4, 11), "f4"))
E
	read-embeddings "$T/zero.npy" --labels labels.txt -o "$T/zero.sae"
	refused 65 probe --fit "$T/x" -i "$T/zero.sae"
	says "17"
	probe --fit "$T/p.probe" --l2 1 -i p.sae >/dev/null
	ok probe --apply "$T/p.probe" -i "$T/zero.sae"
	says "all zeros"
	read-embeddings "$T/wide.npy" -o "$T/wide.sae"
	refused 65 probe --apply "$T/p.probe" -i "$T/wide.sae"
	says "11 wide"
	refused 65 probe --apply m.msae -i p.sae
	refused 66 probe --apply "$T/no" -i p.sae
	refused 64 probe -i p.sae
	refused 64 probe --fit "$T/x" --apply "$T/p.probe" -i p.sae
	refused 64 probe --fit "$T/x" --score -i p.sae
	refused 64 probe --fit "$T/x" --hold-out .9 -i p.sae
	refused 73 probe --fit "$T/no/dir" --l2 1 -i p.sae
}
