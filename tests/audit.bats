# bias-audit: groups compared in every latent, and counterfactuals.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world 90 16 16 20
	plant-embeddings --rows 5 --dim 16 --concepts 20 --seed 6 --truth other.msae --names other.json -o other.sae
	# three groups, a label to ignore, one row without any
	awk 'BEGIN { srand(2); for (i = 0; i < 90; i++) { r = rand(); print i == 7 ? "" : r < .4 ? "ant" : r < .7 ? "bee" : r < .9 ? "cat" : "?" } }' >three.txt
	read-embeddings raw.npy --labels three.txt -b 16 | normalize -m m.msae -o x3.sae
	sae-encode -m m.msae -i x3.sae -o z3.sae
	sae-encode -m m.msae -k 2 --keep -i x3.sae -o zx3.sae
	cat >reference.py <<-'E'
		# One test of group against rest, from the definitions: z [n], in_a [n].
		import math
		from sae import *
		from itertools import combinations
		Z = 1.959963984540054
		def lchoose(n, k): return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
		def wilson(x, n):
		    p = x / n
		    m, h = p + Z * Z / 2 / n, Z * math.sqrt(p * (1 - p) / n + Z * Z / 4 / n / n)
		    return (m - h) / (1 + Z * Z / n), (m + h) / (1 + Z * Z / n)
		def difference(xa, na, xb, nb):
		    (la, ha), (lb, hb), a, b = wilson(xa, na), wilson(xb, nb), xa / na, xb / nb
		    return a - b - math.hypot(a - la, hb - b), a - b + math.hypot(ha - a, b - lb)
		def interval(D):
		    na, nb, d = *D.shape, D.mean()
		    if min(na, nb) < 2 or abs(d) == 1:
		        return [2 * v - 1 for v in wilson((1 + d) / 2 * min(na, nb), min(na, nb))]
		    v = (nb ** 2 * ((D.mean(1) - d) ** 2).sum() + na ** 2 * ((D.mean(0) - d) ** 2).sum() - ((D - d) ** 2).sum()) / (na * nb * (na - 1) * (nb - 1))
		    v = max(v, (1 - d * d) / (na * nb - 1))
		    r = Z * math.sqrt(v * ((1 - d * d) ** 2 + Z * Z * v))
		    return [(d - d ** 3 + s * r) / (1 - d * d + Z * Z * v) for s in (-1, 1)]
		# The permutation distribution: choices of na rows by twice their rank sum,
		# over all rows, zeros and all.
		def exact(z, in_a):
		    n, na = len(z), int(in_a.sum())
		    rank2 = [int((z < v).sum() * 2 + (z == v).sum() + 1) for v in z]
		    ways = np.zeros((na + 1, 2 * n * na + 2 * n + 1))
		    ways[0, 0] = 1
		    for r in rank2:
		        ways[1:, r:] += ways[:-1, :-r].copy()
		    seen, mean = sum(r for r, a in zip(rank2, in_a) if a), na * (n + 1)
		    return min(1, 2 * (ways[na, seen:] if seen >= mean else ways[na, :seen + 1]).sum() / math.comb(n, na))
		def test(z, in_a):
		    a, b = z[in_a], z[~in_a]
		    D = np.sign(a[:, None] - b[None])
		    return dict(active=[int((a > 0).sum()), int((b > 0).sum())], mean=[a.mean(), b.mean()], delta=D.mean(), delta_interval=interval(D),
		                rate_interval=difference((a > 0).sum(), len(a), (b > 0).sum(), len(b)), p=exact(z, in_a))
		def check(told, z, groups, sides, tolerance=3e-8):
		    """told: the JSON; z [n,m] and groups [n] of the rows that take part; sides: (group, against or None)"""
		    wanted = {}
		    for group, against in sides:
		        for j in np.flatnonzero((z > 0).any(0)):
		            wanted[int(j), group] = test(z[:, j].astype("f8"), groups == group)
		    assert len(told["tests"]) == len(wanted) == told["audit"]["tests"], (len(told["tests"]), len(wanted))
		    for t in told["tests"]:
		        w = wanted[t["latent"], t["group"]]
		        assert t["against"] == dict(sides)[t["group"]]
		        assert t["active"] == w["active"], (t, w)
		        for k in ("mean", "delta", "delta_interval", "rate_interval"):
		            np.testing.assert_allclose(t[k], w[k], rtol=1e-7, atol=1e-8, err_msg=f"{k} of {t} {w}")
		        n = sum(t["active"])
		        few = n * min(n, (groups == t["group"]).sum(), (groups != t["group"]).sum()) <= 576
		        np.testing.assert_allclose(t["p"], w["p"], rtol=tolerance if few else .12, err_msg=f"{t} {w}")
		    # q by its definition, from the p-values told
		    p = np.array([t["log10_p"] for t in told["tests"]])
		    for t in told["tests"]:
		        q = min(min(0, v + math.log10(len(p) / (p <= v).sum())) for v in p if v >= t["log10_p"])
		        assert abs(q - t["log10_q"]) < 1e-7, (q, t)
		    order = [(t["log10_q"], -abs(t["delta"])) for t in told["tests"]]
		    assert all(a[0] <= b[0] + 1e-9 for a, b in zip(order, order[1:]))
		    assert told["audit"]["significant"] == sum(t["q"] <= .05 for t in told["tests"])
	E
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
	need_python
}

reference() { cat reference.py - >"$T/check.py"; bounded "$PYTHON" "$T/check.py" "$@" || problem "python said no"; }

@test "groups against each other and against the rest: every figure from its definition" {
	bias-audit --ignore '?' --json -i z3.sae >"$T/three.json"
	bias-audit --group ant --group cat --json -i z3.sae >"$T/pair.json"
	bias-audit --group bee --ignore '?' --json -i z3.sae >"$T/one.json"
	bias-audit --group ant --group bee --group cat --json -i z3.sae >"$T/named.json"
	reference "$T" <<-'E'
		T = sys.argv[1]
		_, c = load("z3.sae")
		z, g = c["z"], np.array(c["label"])
		told = {k: json.load(open(f"{T}/{k}.json")) for k in ("three", "pair", "one", "named")}
		in3, in2 = np.isin(g, ["ant", "bee", "cat"]), np.isin(g, ["ant", "cat"])
		check(told["three"], z[in3], g[in3], [("ant", None), ("bee", None), ("cat", None)])
		check(told["pair"], z[in2], g[in2], [("ant", "cat")])
		check(told["one"], z[in3], g[in3], [("bee", None)])
		assert told["named"]["tests"] == told["three"]["tests"]
		a = told["three"]["audit"]
		assert (a["rows"], a["ignored"], a["other_groups"]) == (in3.sum(), (~in3).sum(), 0) and a["latents"] == 20
		a = told["pair"]["audit"]
		assert (a["rows"], a["ignored"], a["other_groups"]) == (in2.sum(), (g == "").sum(), 89 - in2.sum())
	E
}

@test "ties, latents that are never or always active, one row against all: awkward codes" {
	reference "$T" <<-'E'
		T = sys.argv[1]
		r = np.random.default_rng(4)
		def codes(n, m=12):
		    z = r.uniform(.1, 5, (n, m)) * (r.random((n, m)) < r.uniform(.05, 1, m))
		    z[:, 0] = 0                               # never
		    z[:, 1] = 2.5                             # always, all tied
		    z[:, 2] = np.round(z[:, 2])               # many ties
		    z[:, 3] = 0; z[n // 2, 3] = 1e-42         # once, and denormal
		    z[:, 4] = r.permutation(n) + 1            # no zeros, no ties
		    z[:, 5] = 3e38 * (np.arange(n) % 2)       # large
		    return z.astype("f4")
		for name, n, na in (("tiny", 2, 1), ("few", 9, 4), ("lone", 30, 1), ("apart", 24, 7), ("most", 60, 57)):
		    z, g = codes(n), ["a"] * na + ["b"] * (n - na)
		    if name == "apart":
		        z[:7, 6] = 9; z[7:, 6] = 0
		    write(f"{T}/{name}.sae", stream({"z": sparse(z), "label": g}, batch=7, model="0" * 64))
		    np.save(f"{T}/{name}.npy", z)
	E
	for n in tiny few lone apart most; do
		ok bias-audit --json -i "$T/$n.sae" -o "$T/$n.json"
		silent
	done
	reference "$T" <<-'E'
		for name, na in (("tiny", 1), ("few", 4), ("lone", 1), ("apart", 7), ("most", 57)):
		    z = np.load(f"{sys.argv[1]}/{name}.npy")
		    g = np.array(["a"] * na + ["b"] * (len(z) - na))
		    check(json.load(open(f"{sys.argv[1]}/{name}.json")), z, g, [("a", "b")])
	E
}

@test "p-values too small for a double" {
	reference "$T" <<-'E'
		z = np.zeros((4000, 3))
		z[:2000, 0] = np.arange(2000) + 1
		z[:, 1] = 1
		z[::2, 2] = np.arange(2000) + 1
		write(f"{sys.argv[1]}/far.sae", stream({"z": sparse(z), "label": ["a"] * 2000 + ["b"] * 2000}, model="0" * 64))
	E
	bias-audit --json -i "$T/far.sae" >"$T/far.json"
	bias-audit --csv -i "$T/far.sae" >"$T/far.csv"
	ok bias-audit -i "$T/far.sae"
	reference "$T" <<-'E'
		t = {t["latent"]: t for t in json.load(open(f"{sys.argv[1]}/far.json"))["tests"]}
		want = (math.log(2) - lchoose(4000, 2000)) / math.log(10)
		assert abs(t[0]["log10_p"] - want) < 1e-6 * -want and t[0]["p"] == 0 and t[0]["delta"] == 1, (t[0], want)
		assert abs(t[0]["log10_q"] - want - math.log10(3)) < 1e-3
		assert t[1]["p"] == 1 and t[1]["delta"] == 0 and t[2]["delta"] < -.2
		line = open(f"{sys.argv[1]}/far.csv").read().split("\n")[1].split(",")
		m, e = line[-2].split("e")
		assert abs(math.log10(float(m)) + int(e) - want) < 1e-3 and 1 <= float(m) < 10, line
	E
	grep -qE '^ +0 .*\+1\.000 .* [0-9.]+e-1202 ' "$OUT" || problem "no p of e-1202: $(cat "$OUT")"
}

@test "sweeps: probabilities of each step, by numpy, with and without x" {
	probe --fit three.probe --ignore '?' --l2 .01 -i x3.sae >/dev/null
	for in in x3 zx3 z3; do
		ok bias-audit -m m.msae -c names.json -p three.probe --ignore '?' --sweep zebra=.5:6:4 --sweep '#3' --of bee --json -i $in.sae -o "$T/$in.json"
		silent
	done
	sed 's/"name":"beach"/"name":"zebra"/' names.json >"$T/two.json"
	ok bias-audit -m m.msae -c "$T/two.json" -p three.probe --ignore '?' --sweep zebra=0:3:2 --of bee --json -i zx3.sae -o "$T/two-named.json"
	reference "$T" <<-'E'
		T = sys.argv[1]
		m, _ = read_model("m.msae")
		m = {k: v.astype("f8") for k, v in m.items()}
		b = open("three.probe", "rb").read()
		n = struct.unpack("<Q", b[:8])[0]
		h = json.loads(b[8:8 + n])
		def tensor(k): return np.frombuffer(b[8 + n + h[k]["data_offsets"][0]:8 + n + h[k]["data_offsets"][1]], "<f4").reshape(h[k]["shape"]).astype("f8")
		W, c = tensor("W"), tensor("b")
		def ask(x):
		    raw = x / m["scale"] + m["mean"]
		    l = raw / np.linalg.norm(raw, axis=1, keepdims=True) @ W + c
		    p = np.exp(l - l.max(1, keepdims=True))
		    return p / p.sum(1, keepdims=True)
		latent = {k["name"]: k["latent"] for k in json.load(open("names.json"))["concepts"]}
		def compare(sweep, z, rest, latents, steps, bee):
		    decode = lambda z: z @ m["W_dec"] + m["b_dec"] + rest
		    assert sweep["latents"] == sorted(latents) and sweep["rows"] == bee.sum() and sweep["of"] == "bee"
		    assert sweep["active"] == (z[bee][:, latents] > 0).any(1).sum()
		    before = ask(decode(z))[bee]
		    for told, v in zip([sweep["as_it_is"]] + sweep["steps"], [None] + list(steps)):
		        changed = z.copy()
		        if v is not None:
		            assert abs(told["value"] - v) < 1e-6
		            changed[:, latents] = v
		        p = ask(decode(changed))[bee]
		        half = lambda a: Z * a.std(0, ddof=1) / len(a) ** .5
		        for k, want in (("mean", p.mean(0)), ("sd", p.std(0)), ("half", half(p)), ("change", (p - before).mean(0)), ("change_half", half(p - before))):
		            np.testing.assert_allclose(told[k], want, atol=3e-6, err_msg=f"{k} at {v}")
		        assert told["predicted"] == list(np.bincount(p.argmax(1), minlength=3))
		    assert len(sweep["steps"]) == len(steps)
		for name in ("x3", "zx3", "z3", "two-named"):
		    _, f = load(("zx3" if name == "two-named" else name) + ".sae")
		    z = (f if "z" in f else load("z3.sae")[1])["z"].astype("f8")
		    rest = f["x"] - (z @ m["W_dec"] + m["b_dec"]) if "x" in f else 0
		    told = json.load(open(f"{T}/{name}.json"))["counterfactuals"]
		    g = np.array(f["label"])
		    part = np.isin(g, ["ant", "bee", "cat"])
		    if name == "two-named":
		        compare(told[0], z, rest, sorted([latent["zebra"], latent["beach"]]), [0, 3], g == "bee")
		        continue
		    compare(told[0], z, rest, [latent["zebra"]], np.linspace(.5, 6, 4), g == "bee")
		    assert told[0]["concept"] == "zebra" and told[1]["concept"] == "#3"
		    compare(told[1], z, rest, [3], np.linspace(0, z[part][:, 3].max(), 11), g == "bee")
	E
}

@test "a sweep is what steer, sae-decode and probe do, step by step" {
	bias-audit -m m.msae -c names.json -p two.probe --by id --group row-0 --sweep zebra=0:4:3 --json \
		-i <(read-embeddings raw.npy --ids ids.txt | normalize -m m.msae) >"$T/told.json"
	for v in 0 2 4; do
		steer -c names.json --set zebra=$v -m m.msae --keep-residual -i zx.sae | sae-decode -m m.msae | probe --apply two.probe --column xhat -o "$T/$v.sae"
	done
	reference "$T" <<-'E'
		for step in json.load(open(f"{sys.argv[1]}/told.json"))["counterfactuals"][0]["steps"]:
		    _, c = load(f"{sys.argv[1]}/{step['value']:.0f}.sae")
		    np.testing.assert_allclose(step["mean"], c["prob"].astype("f8").mean(0), atol=1e-5)
	E
}

@test "without labels the probe tells groups; without sweeps, those that differ most are swept" {
	ok bias-audit -m m.msae -p two.probe --json -i x.sae -o "$T/x.json"
	probe --apply two.probe -i zx.sae | bias-audit --by predicted --json >"$T/applied.json"
	ok bias-audit -m m.msae -p two.probe --sweeps 2 --top 3 --plot "$T/x.svg" -i z.sae
	grep -q '^what is said by two.probe: high ' "$OUT" || problem "does not say who told groups: $(head -n 1 "$OUT")"
	[[ $(grep -c '^#[0-9]* set in 90 rows' "$OUT") == 2 && $(grep -cE '^ +[0-9]+ .* to ' "$OUT") == 3 ]] || problem "not 3 latents and 2 sweeps: $(cat "$OUT")"
	reference "$T" <<-'E'
		import xml.dom.minidom
		a, b = (json.load(open(f"{sys.argv[1]}/{n}.json")) for n in ("x", "applied"))
		assert a["tests"] == b["tests"] and a["audit"]["predicted"] and not b["audit"]["predicted"]
		assert [c["latents"][0] for c in a["counterfactuals"]] == [t["latent"] for t in a["tests"][:3]]
		svg = open(f"{sys.argv[1]}/x.svg").read()
		xml.dom.minidom.parseString(svg)
		assert svg.count("<g transform") == 2 and "low" in svg and "two.probe" in svg
	E
}

@test "text: what was compared, names, only those that have one" {
	ok bias-audit -c names.json --ignore '?' --top 4 -i z3.sae
	head -n 3 "$OUT" >"$T/said"
	grep -qE '^label: ant \([0-9]+ rows\), bee \([0-9]+ rows\), cat \([0-9]+ rows\), each against all others$' "$T/said" || problem "$(cat "$T/said")"
	grep -qE '^tested: 20 of 20 latents, active in some row \(60 tests\); [0-9]+ differs? at q <= 0.05, [0-9]+ of them with a name$' "$T/said" || problem "$(cat "$T/said")"
	[[ $(grep -c ' against others$' "$OUT") == 3 && $(grep -cE '^ +[0-9]+  [a-z]' "$OUT") == 12 ]] || problem "not three tables of four"
	sed 's/"valid":true/"valid":false/' names.json >"$T/none.json"
	ok bias-audit -c "$T/none.json" --only-valid --ignore '?' -i z3.sae
	[[ $(grep -c 'no latent with a name was active' "$OUT") == 3 ]] || problem "$(cat "$OUT")"
	ok bias-audit -c names.json --ignore '?' --csv --top 5 -i z3.sae
	[[ $(wc -l <"$OUT") == 16 && $(head -n 2 "$OUT" | tail -n 1) =~ ^(ant|bee|cat),,[0-9]+,[a-z] ]] || problem "$(cat "$OUT")"
}

@test "names, groups and ranges that make no sense" {
	q() { refused "$1" bias-audit "${@:2}"; }
	q 64 -m m.msae -c names.json -p two.probe --sweep zebr <x3.sae
	says "did you mean zebra?"
	q 64 -m m.msae -p two.probe --sweep zebra <x3.sae
	says "-c"
	for range in 1 1:0 -1:3 0:nan 0:1:1 0:1:2.5 0:1:2000 0:1:3:4 0:9e9 :; do
		q 64 -m m.msae -c names.json -p two.probe --sweep "zebra=$range" <x3.sae
		says "--sweep zebra=$range"
	done
	q 64 -m m.msae -c names.json -p two.probe --sweep =0:1 <x3.sae
	says "which concept?"
	q 64 -m m.msae -p two.probe --sweep '#20' --ignore '?' <x3.sae
	says "20 latents"
	q 64 --sweep zebra <x3.sae
	q 64 -m m.msae -p two.probe --csv --sweep '#1' <x3.sae
	q 64 --csv --json <z3.sae
	q 64 --only-valid <z3.sae
	q 64 --group ant --group ant <z3.sae
	q 64 --group ant --ignore ant <z3.sae
	q 64 -m m.msae -p two.probe --plot "$T/no.svg" --sweeps 0 <x3.sae
	q 64 -m m.msae -p two.probe --of ants --ignore '?' <x3.sae
	says "did you mean ant?"
	q 64 -p two.probe <z.sae
	says "-m MODEL"
	q 64 <x3.sae
	says "-m MODEL"
	q 65 --group ants <z3.sae
	says "did you mean ant?"
	q 65 --group ant --ignore bee --ignore cat --ignore '?' <z3.sae
	says "two groups"
	q 65 <z.sae
	says "--labels"
	q 65 --by gender -p two.probe <z3.sae
	says "gender"
	q 65 -c other.json <z3.sae
	says "another model"
	q 65 -m m.msae -c other.json <z3.sae
	says "another model"
	q 65 -m other.msae <z3.sae
	says "another model"
	q 65 -m m.msae -i <(read-embeddings raw.npy --labels three.txt)
	says "normalize -m m.msae"
	[[ ! -e $T/no.svg ]] || problem "a plot of nothing"
}

@test "data that cannot be compared" {
	reference "$T" <<-'E'
		def put(name, z, g, **more):
		    write(f"{sys.argv[1]}/{name}.sae", stream({"z": sparse(np.array(z, "f8")), "label": g, **more}, model="0" * 64))
		put("below", [[1, -2], [0, 1]], ["a", "b"])
		put("many", np.ones((40, 2)), [str(i) for i in range(40)])
		put("nobody", [[1, 2], [0, 1]], ["", ""])
		put("silent", [[0, 0], [0, 0], [0, 0]], ["a", "b", "b"])
		put("hostile", [[1, 0], [0, 1]], ["\x1b[31mred", "<b>&\"\n"])
	E
	refused 65 bias-audit -i "$T/below.sae"
	says "below 0"
	refused 65 bias-audit -i "$T/many.sae"
	says "--group"
	refused 65 bias-audit -i "$T/nobody.sae"
	says "label"
	ok bias-audit -i "$T/silent.sae"
	grep -q '^tested: 0 of 2 latents' "$OUT" && grep -q 'no latent was active' "$OUT" || problem "$(cat "$OUT")"
	ok bias-audit -i "$T/hostile.sae"
	! grep -q $'\x1b' "$OUT" || problem "a label drives the terminal"
	ok bias-audit -i "$T/hostile.sae" --csv
	ok bias-audit -i "$T/many.sae" --group 3 --group 5
	read-embeddings raw.npy --labels three.txt | normalize --fit | bias-audit -m m.msae --ignore '?' >"$OUT" 2>"$ERR" || problem "rows normalised by themselves"
	plant-embeddings --rows 30 --dim 9 --concepts 5 --active 2 | write-embeddings "$T/nine.npy"
	read-embeddings "$T/nine.npy" --labels <(head -n 30 labels.txt) | probe --fit "$T/nine.probe" --l2 1 >/dev/null
	refused 65 bias-audit -m m.msae -p "$T/nine.probe" --ignore '?' -i x3.sae
	says "9"
}

@test "the same bytes for every number of threads, frames and the spool" {
	probe --fit "$T/three.probe" --ignore '?' --l2 .01 -i x3.sae >/dev/null
	a() { bias-audit -m m.msae -c names.json -p "$T/three.probe" --ignore '?' --json "$@"; }
	a -i zx3.sae >"$T/want"
	for t in 2 5; do
		a -t $t <zx3.sae >"$T/got"
		same "$T/got" "$T/want"
	done
	cat zx3.sae | a >"$T/got" # kept in $TMPDIR
	same "$T/got" "$T/want"
	for b in 1 7; do
		sae rebatch zx3.sae "$T/b.sae" $b
		a -i "$T/b.sae" >"$T/got"
		same "$T/got" "$T/want"
	done
	status=0
	cat zx3.sae | TMPDIR=$T/none bias-audit -m m.msae -p "$T/three.probe" --ignore '?' >"$OUT" 2>"$ERR" || status=$?
	status_is 74 73
	says "TMPDIR"
}

@test "rows of another length are warned about" {
	reference "$T" <<-'E'
		np.save(f"{sys.argv[1]}/long.npy", 30 * np.load("raw.npy"))
	E
	read-embeddings "$T/long.npy" --labels three.txt | normalize -m m.msae >"$T/long.sae"
	ok bias-audit -m m.msae --ignore '?' -i "$T/long.sae"
	says "normalize --l2"
	ok bias-audit -m m.msae --ignore '?' -i x3.sae
	silent
}
