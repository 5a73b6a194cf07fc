# sae-eval: what is measured, and that it adds up.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world 300 32 10 24
	read-embeddings raw.npy -o rows.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

@test "the published table: FVU, MAE, cosine, sparsity, CKNNA and dead latents of each k" {
	need_python
	G=$TESTS/golden/metrics
	read-embeddings "$G/small.npy" -o "$T/x.sae"
	ok sae-eval -m "$G/small.safetensors" --progressive --raw --json -i "$T/x.sae" -o "$T/got.json"
	py "$T/got.json" "$G/small.tsv" <<'E'
import json, sys
got = {l["k"]: l for l in json.load(open(sys.argv[1]))["at"]}
seen = 0
for line in open(sys.argv[2]):
    if line[0] == "#": continue
    k, fvu, fvu_sd, mae, mae_sd, cos, cos_sd, zeros, zeros_sd, cknna, never = map(float, line.split())
    l = got[int(k)]
    for name, mean, sd in (("fvu", fvu, fvu_sd), ("mae", mae, mae_sd), ("cosine", cos, cos_sd), ("sparsity", zeros, zeros_sd)):
        assert abs(l[name]["mean"] - mean) < 3e-6, (k, name, l[name], mean)
        assert abs(l[name]["sd"] - sd) < 3e-6, (k, name, l[name], sd)
    assert abs(l["cknna"]["mean"] - cknna) < 2e-5, (k, l["cknna"], cknna)
    assert l["never_active"] == never, (k, l["never_active"])
    seen += 1
assert seen == 5
E
}

@test "every number against numpy, in normalised space" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
m = sae.random_model(11, 30, 4)
m["mean"] = np.linspace(-1, 1, 11).astype("f4")
m["scale"] = np.array([1.7], "f4")
sae.write_model(f"{sys.argv[1]}/m.msae", m, architecture="msae", nesting="4,30")
x = np.random.default_rng(1).normal(size=(90, 11)).astype("f4")
np.save(f"{sys.argv[1]}/x.npy", x)
E
	read-embeddings "$T/x.npy" -b 17 -o "$T/raw.sae"
	normalize -m "$T/m.msae" -i "$T/raw.sae" -o "$T/x.sae"
	ok sae-eval -m "$T/m.msae" --progressive --group 40 --neighbours 4 --json -i "$T/x.sae" --latents "$T/latents.csv" -o "$T/got.json"
	py "$T" <<'E'
import csv, json, sys
import numpy as np
import sae
T = sys.argv[1]
model = sae.read_model(f"{T}/m.msae")[0]
x = (np.load(f"{T}/x.npy").astype(float) - model["mean"]) * float(model["scale"][0])
got = json.load(open(f"{T}/got.json"))

def nearest(g, k):
    g = g.copy(); np.fill_diagonal(g, -np.inf)
    return np.argsort(-g, axis=1, kind="stable")[:, :k]

def cknna(a, b, k):
    n = len(a); K, L = a @ a.T, b @ b.T
    ma = np.zeros((n, n), bool); mb = ma.copy()
    np.put_along_axis(ma, nearest(K, k), True, 1); np.put_along_axis(mb, nearest(L, k), True, 1)
    def hsic(A, B, m):
        A, B = A * m, B * m
        return ((A * B.T).sum() + A.sum() * B.sum() / (n - 1) / (n - 2) - 2 * (A @ B).sum() / (n - 2)) / n / (n - 3)
    return hsic(K, L, ma & mb) / (np.sqrt(hsic(K, K, ma) * hsic(L, L, mb)) + 1e-6)

def check(level, z):
    xhat = z @ model["W_dec"].astype(float) + model["b_dec"]
    e = x - xhat
    want = dict(fvu=e.var(1) / x.var(1), cosine=(x * xhat).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(xhat, axis=1),
                mae=np.abs(e).sum(1) / np.abs(x).sum(1), l0=(z != 0).sum(1), sparsity=(z == 0).mean(1))
    want["cknna"] = np.array([cknna(x[i:i + 40], z[i:i + 40], 4) for i in (0, 40)])
    for name, v in want.items():
        half = 1.959963984540054 * v.std(ddof=1) / np.sqrt(len(v))
        for a, b in ((level[name]["mean"], v.mean()), (level[name]["sd"], v.std()), (level[name]["ci95"][1], v.mean() + half)):
            assert abs(a - b) < 1e-5 * max(1, abs(b)), (level.get("k"), name, level[name], v.mean(), v.std())
    r2 = (e ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert abs(level["fvu_data"]["mean"] - r2) < 1e-5
    assert level["never_active"] == (z != 0).any(0).tolist().count(False)
    assert level["always_active"] == (z != 0).all(0).sum()

z = sae.encode(model, x)
check(got["as_used"], z)
assert [l["k"] for l in got["at"]] == [16, 30]
for l in got["at"]:
    check(l, sae.keep(z, l["k"]))
D = model["W_dec"].astype(float) @ model["W_dec"].astype(float).T
assert abs(got["do"] - (D ** 2)[~np.eye(30, dtype=bool)].sum() / 900) < 1e-6 * got["do"]
assert got["active_rows"] == (z != 0).sum(0).tolist()
assert got["cknna"] == dict(group=40, neighbours=4, groups=2, undefined_groups=0, rows=80, rows_left_out=10)
unit = x / np.linalg.norm(x, axis=1, keepdims=True)
mono = []
for j in range(30):
    a = z[:, j]; w = np.outer(a, a); np.fill_diagonal(w, 0)
    mono.append((w * (unit @ unit.T)).sum() / w.sum() if w.sum() else None)
for a, b in zip(got["monosemanticity"]["latents"], mono):
    assert (a is None) == (b is None) and (a is None or abs(a - b) < 1e-5), (a, b)
rows = list(csv.DictReader(open(f"{T}/latents.csv")))
assert [int(r["rows"]) for r in rows] == got["active_rows"] and len(rows) == 30
assert sum(b["latents"] for b in got["frequency"]) == 30
E
}

@test "rows that were normalised, raw ones and those of another model: the same results" {
	ok sae-eval -m m.msae --no-cknna -i x.sae
	cp "$OUT" "$T/want"
	ok sae-eval -m m.msae --no-cknna -i rows.sae
	same "$OUT" "$T/want"
	plant-embeddings --rows 200 --dim 10 --concepts 6 --active 2 --seed 9 --truth "$T/other.msae" >/dev/null
	normalize -m "$T/other.msae" -i rows.sae -o "$T/other.sae"
	ok sae-eval -m m.msae --no-cknna -i "$T/other.sae"
	same "$OUT" "$T/want"
	# as they are, they are other rows
	ok sae-eval -m m.msae --no-cknna --as-is -i rows.sae
	! cmp -s "$OUT" "$T/want" || problem "--as-is does nothing"
	grep -q 'taken as they are' "$OUT" || problem "--as-is is not said"
	# what is normalised otherwise in one input is refused
	cat rows.sae "$T/other.sae" >"$T/two.sae"
	ok sae-eval -m m.msae --no-cknna -i "$T/two.sae"
	normalize --fit -i rows.sae -o "$T/fit.sae"
	cat rows.sae "$T/fit.sae" >"$T/two.sae"
	refused 65 sae-eval -m m.msae --no-cknna -i "$T/two.sae"
	says "rows of this stream are normalised by another mean and scale"
}

@test "frames, threads and instructions do not matter" {
	ok sae-eval -m m.msae --progressive --group 100 --json -i rows.sae
	cp "$OUT" "$T/want"
	for b in 1 7 300; do
		read-embeddings raw.npy -b "$b" -o "$T/b.sae"
		ok sae-eval -m m.msae --progressive --group 100 --json -t 3 -i "$T/b.sae"
		same "$OUT" "$T/want"
	done
	MSAE_CPU=plain ok sae-eval -m m.msae --progressive --group 100 --json -i rows.sae
	same "$OUT" "$T/want"
}

@test "states of shards add up to one pass, groups that shards cut included" {
	need_python
	ok sae-eval -m m.msae --progressive --group 70 --json -i rows.sae -o "$T/one.json"
	for i in 0 1 2; do
		read-embeddings raw.npy --shard $i/3 -b 11 | sae-eval -m m.msae --progressive --group 70 --state "$T/$i.state" >"$T/said"
		grep -qx "$T/$i.state: 100 rows of m.msae" "$T/said" || problem "--state says $(cat "$T/said")"
	done
	# in any order
	ok sae-eval --merge "$T/2.state" "$T/0.state" "$T/1.state" --json -o "$T/three.json"
	# merged in two steps
	ok sae-eval --merge "$T/0.state" "$T/1.state" --state "$T/01.state"
	ok sae-eval --merge "$T/01.state" "$T/2.state" --json -o "$T/steps.json"
	py "$T" <<'E'
import json, sys
def flat(v, at=""):
    if isinstance(v, dict):
        for k in v: yield from flat(v[k], f"{at}.{k}")
    elif isinstance(v, list):
        for i, w in enumerate(v): yield from flat(w, f"{at}[{i}]")
    else:
        yield at, v
one, three, steps = (dict(flat(json.load(open(f"{sys.argv[1]}/{n}.json")))) for n in ("one", "three", "steps"))
for other in (three, steps):
    assert one.keys() == other.keys()
    for k, v in one.items():
        w = other[k]
        assert v == w or isinstance(v, float) and abs(v - w) <= (1e-6 if "mono" in k else 2e-8) * max(1, abs(v)), (k, v, w)
assert one[".cknna.groups"] == 4
E
}

@test "states that do not belong together, or are no states" {
	sae-eval -m m.msae --group 70 --state "$T/a" -i rows.sae
	sae-eval -m m.msae --group 71 --state "$T/b" -i rows.sae
	refused 65 sae-eval --merge "$T/a" "$T/b"
	says "other options"
	plant-embeddings --rows 1 --dim 10 --concepts 24 --seed 8 --truth "$T/other.msae" >/dev/null
	sae-eval -m "$T/other.msae" --group 70 --state "$T/c" -i rows.sae
	refused 65 sae-eval --merge "$T/a" "$T/c"
	says "another model"
	refused 65 sae-eval --merge m.msae
	says "not a state of sae-eval"
	refused 66 sae-eval --merge "$T/none"
	head -c 3000 "$T/a" >"$T/cut"
	refused 65 sae-eval --merge "$T/cut"
	refused 64 sae-eval --merge
	refused 64 sae-eval --merge "$T/a" -m m.msae
	refused 64 sae-eval -m m.msae --state "$T/d" --json
	for f in "$TESTS"/bad/state-*; do
		case=${f##*/}
		refused 65 sae-eval --merge "$f"
	done
	case=
	# a shard may be empty
	read-embeddings raw.npy --limit 0 | sae-eval -m m.msae --group 70 --state "$T/none" >/dev/null
	sae-eval --merge "$T/none" "$T/a" >"$T/sum"
	ok sae-eval --merge "$T/a"
	same "$OUT" "$T/sum"
}

@test "several models beside each other" {
	need_python
	sae-train --latents 24 --arch topk -k 4 --batch 32 --steps 20 -q -o "$T/<topk> & co.msae" <x.sae
	ok sae-eval --compare m.msae "$T/<topk> & co.msae" --no-cknna --progressive --plot "$T/c.svg" --json -i rows.sae -o "$T/both.json"
	ok sae-eval -m "$T/<topk> & co.msae" --no-cknna --progressive --json -i rows.sae -o "$T/one.json"
	py "$T" <<'E'
import json, sys
import xml.dom.minidom
T = sys.argv[1]
both, one = json.load(open(f"{T}/both.json"))["models"], json.load(open(f"{T}/one.json"))
assert len(both) == 2 and both[1] == one
assert both[1]["as_used"]["l0"]["mean"] <= 4
d = xml.dom.minidom.parse(f"{T}/c.svg")
text = "".join(n.data for t in d.getElementsByTagName("text") for n in t.childNodes)
assert "<topk> & co.msae" in text and "m.msae" in text
assert len(d.getElementsByTagName("path")) == 4
E
	ok sae-eval --compare m.msae "$T/<topk> & co.msae" --no-cknna -i rows.sae
	[[ $(grep -c 'msae  ' "$OUT") == 2 ]] || problem "not a line for each model"
	ok sae-eval --compare m.msae m.msae --no-cknna --csv -i rows.sae
	[[ $(wc -l <"$OUT") == 3 && $(awk -F, '{ print NF }' "$OUT" | sort -u) == 33 ]] || problem "CSV of another shape"
	plant-embeddings --rows 1 --dim 9 --concepts 24 --truth "$T/nine.msae" >/dev/null
	refused 65 sae-eval --compare m.msae "$T/nine.msae" -i rows.sae
	says "cannot be compared"
	refused 64 sae-eval --compare m.msae -i rows.sae
}

@test "a probe's opinion of x and of xhat" {
	need_python
	py "$T" <<'E'
import json, struct, sys
import numpy as np
r = np.random.default_rng(2)
W, b = r.normal(size=(10, 3)).astype("f4") * 3, r.normal(size=3).astype("f4")
head = {"__metadata__": {"format": "msae-probe", "version": "1", "classes": json.dumps(["a", "b", "c"])},
        "W": {"dtype": "F32", "shape": [10, 3], "data_offsets": [0, 120]}, "b": {"dtype": "F32", "shape": [3], "data_offsets": [120, 132]}}
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
open(f"{sys.argv[1]}/probe", "wb").write(struct.pack("<Q", len(text)) + text + W.tobytes() + b.tobytes())
np.savez(f"{sys.argv[1]}/probe.npz", W=W, b=b)
E
	ok sae-eval -m m.msae --progressive --no-cknna --probe "$T/probe" --json -i rows.sae -o "$T/raw.json"
	ok sae-eval -m m.msae --progressive --no-cknna --probe "$T/probe" --json -i x.sae -o "$T/x.json"
	same "$T/raw.json" "$T/x.json"
	py "$T" <<'E'
import json, sys
import numpy as np
import sae
T = sys.argv[1]
p = np.load(f"{T}/probe.npz")
m = sae.read_model("m.msae")[0]
raw = np.load("raw.npy").astype(float)
x = (raw - m["mean"]) * float(m["scale"][0])
def logp(v):
    l = v / np.linalg.norm(v, axis=1, keepdims=True) @ p["W"].astype(float) + p["b"]
    return l - np.log(np.exp(l).sum(1, keepdims=True))
got = json.load(open(f"{T}/raw.json"))
z = sae.encode(m, x)
for level in got["at"] + [got["as_used"]]:
    xhat = sae.keep(z, level.get("k", 24)) @ m["W_dec"].astype(float) + m["b_dec"]
    a, b = logp(raw), logp(xhat / float(m["scale"][0]) + m["mean"])
    kl, same = (np.exp(a) * (a - b)).sum(1), a.argmax(1) == b.argmax(1)
    assert abs(level["lp_kl"]["mean"] - kl.mean()) < 1e-5 and abs(level["lp_kl"]["sd"] - kl.std()) < 1e-5, (level["lp_kl"], kl.mean())
    assert abs(level["lp_acc"]["mean"] - same.mean()) < 1e-8
E
	plant-embeddings --rows 1 --dim 9 --concepts 24 --truth "$T/nine.msae" >/dev/null
	refused 65 sae-eval -m "$T/nine.msae" --probe "$T/probe" -i rows.sae
	says "takes rows of 9 numbers, the probe of 10"
}

@test "what cannot be told is said, never NaN" {
	need_python
	# too few rows for CKNNA
	read-embeddings raw.npy --limit 8 -o "$T/few.sae"
	refused 65 sae-eval -m m.msae -i "$T/few.sae"
	says "8 rows are too few for the 10 nearest"
	ok sae-eval -m m.msae --no-cknna -i "$T/few.sae"
	refused 64 sae-eval -m m.msae --group 10 -i rows.sae
	says "too small"
	refused 64 sae-eval -m m.msae --neighbours 0 -i rows.sae
	# no rows
	read-embeddings raw.npy --limit 0 -o "$T/none.sae"
	refused 65 sae-eval -m m.msae --no-cknna -i "$T/none.sae"
	says "no rows"
	# rows of zeros, one row
	py "$T" <<'E'
import sys
import numpy as np
np.save(f"{sys.argv[1]}/zeros.npy", np.zeros((40, 10), "f4"))
E
	read-embeddings "$T/zeros.npy" -o "$T/zeros.sae"
	read-embeddings raw.npy --limit 1 -o "$T/one.sae"
	for form in "" --json --csv; do
		ok sae-eval -m m.msae --as-is $form -i "$T/zeros.sae"
		! grep -qi '\bnan\|\binf' "$OUT" || problem "NaN is printed: $form"
		ok sae-eval -m m.msae --no-cknna $form -i "$T/one.sae"
		! grep -qi '\bnan\|\binf' "$OUT" || problem "NaN is printed for one row: $form"
	done
	ok sae-eval -m m.msae --as-is -i "$T/zeros.sae"
	grep -q '40 of them do not vary' "$OUT" || problem "zero rows are not counted"
	grep -q 'CKNNA is undefined in 1 of them' "$OUT" || problem "undefined CKNNA is not said"
	refused 65 sae-eval -m m.msae -i z.sae
	says "no column x"
	refused 64 sae-eval -i rows.sae
	refused 64 sae-eval -m m.msae --json --csv -i rows.sae
	refused 64 sae-eval -m m.msae extra -i rows.sae
	refused 66 sae-eval -m none.msae -i rows.sae
	refused 73 sae-eval -m m.msae --no-cknna --plot "$T/no/dir.svg" -i rows.sae
}
