# sae-align: which latent of one model is which of another.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	plant-embeddings --rows 1 --dim 8 --concepts 9 --active 2 --seed 6 --truth nine.msae >/dev/null
	plant-embeddings --rows 1 --dim 7 --concepts 9 --active 2 --seed 6 --truth narrow.msae >/dev/null
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

@test "golden: score and matching of decoder rows, square and rectangular" {
	need_python
	py "$T" "$TESTS/golden/metrics" <<'E'
import sys
import numpy as np
import sae
T, G = sys.argv[1:]
for name, w in (("a", np.load(f"{G}/W1.npy")), ("half", np.load(f"{G}/W1.npy")[:50]), ("b", np.load(f"{G}/W2.npy"))):
    m = sae.random_model(w.shape[1], w.shape[0], 1)
    m["W_dec"] = (w * 3).astype("f4")  # lengths do not matter
    sae.write_model(f"{T}/{name}.msae", m)
E
	for name in a half; do
		ok sae-align "$T/$name.msae" "$T/b.msae" --decoder --json -o "$T/$name.json"
		ok sae-align "$T/b.msae" "$T/$name.msae" --decoder --json -o "$T/$name.turned.json"
	done
	py "$T" "$TESTS/golden/metrics" <<'E'
import json, sys
import numpy as np
T, G = sys.argv[1:]
for name, col, score in (("a", "hungarian_col", 0.9580994819390102), ("half", "hungarian_rect_col", 0.9578813671216428)):
    want = np.load(f"{G}/{col}.npy").tolist()
    got, turned = json.load(open(f"{T}/{name}.json")), json.load(open(f"{T}/{name}.turned.json"))
    assert abs(got["score"] - score) < 1e-6 and abs(turned["score"] - score) < 1e-6, (got["score"], turned["score"])
    assert [p[1] for p in got["matching"]] == want and [p[0] for p in got["matching"]] == list(range(len(want)))
    assert sorted([p[1], p[0]] for p in turned["matching"]) == [[i, j] for i, j in enumerate(want)]
    assert got["b"]["left_over"] == 64 - len(want) and got["a"]["left_over"] == 0
E
}

@test "a model is itself, by encoder and decoder, shuffled" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
T = sys.argv[1]
m = sae.random_model(12, 40, 3)
order = np.random.default_rng(4).permutation(40)
sae.write_model(f"{T}/m.msae", m)
shuffled = dict(m, W_enc=np.ascontiguousarray(m["W_enc"][:, order]), b_enc=m["b_enc"][order], W_dec=np.ascontiguousarray(m["W_dec"][order]))
sae.write_model(f"{T}/s.msae", shuffled)
np.save(f"{T}/order.npy", order)
E
	for by in "" --decoder; do
		ok sae-align "$T/m.msae" "$T/s.msae" $by --csv -o "$T/pairs.csv"
		py "$T" <<'E'
import csv, sys
import numpy as np
rows = list(csv.DictReader(open(f"{sys.argv[1]}/pairs.csv")))
order = np.load(f"{sys.argv[1]}/order.npy")
assert len(rows) == 40
for r in rows:
    assert order[int(r["b"])] == int(r["a"]) and abs(float(r["cosine"]) - 1) < 1e-6
E
	done
	ok sae-align "$T/m.msae" "$T/s.msae"
	grep -q '^score 1.0000: mean cosine of 40 pairs of latents' "$OUT" || problem "no score of 1: $(cat "$OUT")"
}

@test "latents without a direction are said, and count as cosine 0" {
	need_python
	py "$T" <<'E'
import sys
import sae
m = sae.random_model(5, 6, 3)
m["W_dec"][[1, 4]] = 0
sae.write_model(f"{sys.argv[1]}/z.msae", m)
E
	ok sae-align "$T/z.msae" "$T/z.msae" --decoder
	grep -q '^2 latents of A are all zeros' "$OUT" || problem "not said: $(cat "$OUT")"
	ok sae-align "$T/z.msae" "$T/z.msae" --decoder --json
	! grep -qi 'nan' "$OUT" || problem "NaN in JSON"
	grep -q '"without_direction":2' "$OUT" || problem "not in JSON"
}

@test "models of other widths, no models, wrong use" {
	ok sae-align m.msae nine.msae
	refused 65 sae-align m.msae narrow.msae
	says "cannot be compared"
	refused 65 sae-align m.msae raw.npy
	refused 66 sae-align m.msae none.msae
	refused 64 sae-align m.msae
	refused 64 sae-align m.msae m.msae m.msae
	refused 64 sae-align m.msae m.msae --json --csv
	refused 64 sae-align m.msae m.msae -i raw.sae
	says "reads no stream"
}

@test "threads and instructions do not matter" {
	ok sae-align m.msae nine.msae --json
	cp "$OUT" "$T/want"
	ok sae-align m.msae nine.msae --json -t 3
	same "$OUT" "$T/want"
}
