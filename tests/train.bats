# sae-train: the model it writes, how it stops and goes on, what it refuses.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world 200 64 16 24
	normalize --fit -i raw.sae -o fit.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# A short run, the same in most tests below: 200 rows in batches of 64 are four
# steps an epoch.
small=(--latents 40 --nesting 4,16,40 --batch 64 --lr 1e-3 --seed 3)

# ---- right ----

@test "golden: parameters after one and ten steps, every architecture" {
	need_python
	py "$TESTS/golden" "$T" <<'E'
import sys
import numpy as np
from sae import write_model
golden, out = sys.argv[1:]
a = lambda n: np.load(f"{golden}/forward/{n}.npy")
for arch in ("msae", "topk", "batchtopk", "relu", "jumprelu"):
    more = {"msae": {"nesting": "8,16,32,64,128,256"}, "topk": {"k": "16"}, "batchtopk": {"k": "8"}}.get(arch, {})
    t = {"W_enc": a("encoder"), "b_enc": a("latent_bias"), "W_dec": a("decoder"), "b_dec": a("pre_bias"),
         "mean": np.zeros(32), "scale": np.ones(1)}
    if arch in ("jumprelu", "batchtopk"):
        t["threshold"] = np.full(256, .2 if arch == "jumprelu" else 0.)
    write_model(f"{out}/{arch}.msae", {k: np.asarray(v, "<f4") for k, v in t.items()}, architecture=arch, **more)
np.save(f"{out}/x.npy", a("x"))
E
	local name arch options steps
	while read -r name arch options; do
		for steps in 1 10; do
			ok sae-train "$T/x.npy" --init "$T/${arch%-*}.msae" --arch "$arch" $options --no-shuffle --batch 64 --steps $steps -o "$T/$name.$steps"
		done
	done <<'E'
msae-uw-nmse     msae-uw
msae-rw-nmse     msae-rw
msae-rw-mse      msae-rw   --loss mse
msae-rw-softcap  msae-rw   --soft-cap 1.5
topk16-nmse      topk
batchtopk8-nmse  batchtopk
relu-l1-nmse     relu      --l1 0.03
jumprelu-l0-nmse jumprelu  --l0 0.003 --threshold 0.2 --bandwidth 0.3 --lr 5e-5 --jump published
E
	py "$TESTS/golden" "$T" <<'E'
import sys
import numpy as np
from sae import read_model
golden, out = sys.argv[1:]
for case in ("msae-uw-nmse", "msae-rw-nmse", "msae-rw-mse", "msae-rw-softcap", "topk16-nmse", "batchtopk8-nmse", "relu-l1-nmse", "jumprelu-l0-nmse"):
    for steps in (1, 10):
        want = np.load(f"{golden}/train/{case}.step{steps}.npy")
        t, meta = read_model(f"{out}/{case}.{steps}")
        got = np.zeros((66, 66))
        rows = np.concatenate([t["W_enc"].T, t["W_dec"], t["b_enc"][:, None], np.zeros((256, 1))], 1).astype(float)
        if case.startswith("jump"):
            rows[:, 65] = np.log(t["threshold"].astype(float))
        got[:64], got[64], got[65, :32] = rows[::4], rows.sum(0), t["b_dec"]
        for cols in (slice(0, 32), slice(32, 64), slice(64, 65), slice(65, 66)):
            scale = np.abs(want[:64, cols]).max() or 1
            off = np.abs(got[:64, cols] - want[:64, cols]).max() / scale
            assert off < 2e-6, f"{case} after {steps} steps: off by {off} of the largest entry"
        assert np.abs(got[65] - want[65]).max() < 2e-6 * max(np.abs(want[65]).max(), 1e-3), f"{case}: b_dec"
        assert int(meta["rows"]) == 64 * steps
E
}

@test "files, a stream, and a stream that was normalised give the same model" {
	need_python
	ok sae-train raw.npy "${small[@]}" --epochs 2 -o "$T/a"
	ok sae-train -i raw.sae "${small[@]}" --epochs 2 -o "$T/b"
	ok sae-train "${small[@]}" --epochs 2 -o "$T/c" <fit.sae
	py "$T" <<'E'
import sys
import numpy as np
from sae import read_model
a, b, c = (read_model(f"{sys.argv[1]}/{n}")[0] for n in "abc")
for n in a:
    assert np.array_equal(a[n], b[n]) and np.array_equal(a[n], c[n]), n
E
	normalize -m "$T/a" -i raw.sae | sae-encode -m "$T/a" >"$T/z"
	whole "$T/z" 200
}

@test "mean and scale go into the model, from the head of the stream or the model to start from" {
	need_python
	normalize -m m.msae -i raw.sae | sae-train "${small[@]}" --steps 1 -o "$T/head" >"$OUT"
	sae-train raw.npy --init "$T/head" --batch 64 --steps 1 -o "$T/init" >"$OUT"
	sae-train raw.npy "${small[@]}" --as-is --steps 1 -o "$T/as-is" >"$OUT"
	py "$T" <<'E'
import sys
import numpy as np
from sae import read_model
head, init, as_is = (read_model(f"{sys.argv[1]}/{n}")[0] for n in ("head", "init", "as-is"))
m = read_model("m.msae")[0]
for t in head, init:
    assert np.array_equal(t["mean"], m["mean"]) and np.array_equal(t["scale"], m["scale"])
assert not as_is["mean"].any() and as_is["scale"] == 1
E
}

@test "the same bytes for threads, instruction sets, log and evaluation" {
	ok sae-train -i raw.sae "${small[@]}" --epochs 2 -o "$T/a"
	for t in 1 3; do
		ok sae-train -t $t -i raw.sae "${small[@]}" --epochs 2 --log "$T/log" --valid raw.npy -o "$T/b"
		same "$T/a" "$T/b"
	done
	for cpu in plain avx2 avx512; do
		try env MSAE_CPU=$cpu sae-train -i raw.sae "${small[@]}" --epochs 2 -o "$T/b"
		[[ $status == 64 ]] || same "$T/a" "$T/b"
	done
	ok sae-train -i raw.sae "${small[@]}" --epochs 2 --seed 4 -o "$T/b"
	! cmp -s "$T/a" "$T/b" || problem "another seed gives the same model"
	ok sae-train -i raw.sae "${small[@]}" --epochs 2 --no-shuffle -o "$T/c"
	! cmp -s "$T/a" "$T/c" || problem "another order gives the same model"
}

@test "rows beyond the window are read in blocks" {
	plant-embeddings --rows 1000 --dim 16 --concepts 24 --seed 1 | write-embeddings "$T/x.npy"
	local run=("$T/x.npy" --latents 32 --nesting 4,32 --batch 100 --epochs 3 --window 8K)
	ok sae-train "${run[@]}" --log "$T/log" --checkpoint "$T/ck" --checkpoint-every 13 -o "$T/a"
	ok sae-train "${run[@]}" -t 1 -o "$T/b"
	same "$T/a" "$T/b"
	[[ $(sed -n 's/.*"rows":\([0-9]*\),.*/\1/p' "$T/log" | xargs) == "$(seq 100 100 3000 | xargs)" ]] || problem "not 30 batches of 100 rows"
	ok sae-train "$T/x.npy" --resume "$T/ck" -o "$T/b"
	same "$T/a" "$T/b"
	ok sae-train "${run[@]:0:9}" -o "$T/b"
	! cmp -s "$T/a" "$T/b" || problem "a larger window gives the same order"
}

@test "the architectures learn what was planted" {
	local arch k n
	for arch in msae-rw msae-uw topk batchtopk relu jumprelu; do
		case=$arch k=() n=()
		[[ $arch != *topk ]] || k=(-k 6)
		[[ $arch != msae* ]] || n=(--nesting 4,8,40)
		[[ $arch != jumprelu ]] || k=(--bandwidth .1 --threshold .1)
		ok sae-train -i raw.sae --arch $arch "${k[@]}" "${n[@]}" --latents 40 --batch 50 --epochs 100 --lr 3e-3 --l1 0 --log "$T/log" --valid raw.npy -o "$T/$arch"
		fvu=$(grep '"valid"' "$T/log" | tail -n 1 | sed 's/.*"silent":[0-9]*,"fvu":\([0-9.e-]*\).*/\1/')
		awk -v f="$fvu" 'BEGIN { exit !(f < .15) }' || problem "FVU is $fvu"
		normalize -m "$T/$arch" -i raw.sae | sae-encode -m "$T/$arch" >"$T/z"
		whole "$T/z" 200
	done
	case=
}

@test "a start from data: latents are rows, as far as they go" {
	need_python
	ok sae-train raw.npy --latents 250 --arch relu --l1 0 --batch 200 --steps 1 --lr 1e-30 --start data --init-bias median -o "$T/m"
	py "$T/m" <<'E'
import sys
import numpy as np
from sae import read_model
t, meta = read_model(sys.argv[1])
x = (np.load("raw.npy").astype(float) - t["mean"]) * t["scale"]
unit = lambda a: a / np.linalg.norm(a, axis=1, keepdims=True)
c = unit(t["W_dec"].astype(float)) @ unit(x).T
assert (c.max(1) > 1 - 1e-6).all() and len(set(c.argmax(1))) == 200
pull = unit(x - t["b_dec"]).sum(0)
assert np.abs(t["b_dec"]).max() > 1e-3 and np.linalg.norm(pull) < 1e-2, pull
E
}

@test "--preset best is a recipe of its own, and gives way to options" {
	need_python
	plant-embeddings --rows 600 --dim 16 --concepts 24 --seed 1 | write-embeddings "$T/x.npy"
	ok sae-train "$T/x.npy" --preset best --steps 2 -o "$T/a"
	ok sae-train "$T/x.npy" --preset best --arch topk -k 4 --steps 2 --batch 300 -o "$T/b"
	py "$T" <<'E'
import sys
from sae import read_model
a, b = (read_model(f"{sys.argv[1]}/{n}")[1] for n in "ab")
assert a["architecture"] == "msae" and a["nesting"] == "16,32" and b["architecture"] == "topk" and b["k"] == "4"
assert " batch=300 " in b["recipe"] and "nesting" not in b["recipe"]
E
}

# ---- schedules, epochs, steps ----

rates() { # OPTIONS: how many steps had which rate
	sae-train -i raw.sae "${small[@]}" -q --log "$T/log" -o "$T/m" "$@"
	sed -n 's/.*"lr":\([0-9.e-]*\).*/\1/p' "$T/log" | uniq -c | xargs
}

rates_are() { # RATES OPTIONS, four steps an epoch
	local got
	got=$(rates "${@:2}")
	[[ $got == "$1" ]] || problem "${*:2}: rates are $got, expected $1"
}

@test "schedules" {
	rates_are "20 1" --epochs 5 --lr 1
	rates_are "36 1 4 0.5" --epochs 10 --lr 1
	rates_are "16 1 4 0.666666667 4 0.333333333" --epochs 6 --lr 1 --decay-from .5
	rates_are "4 1" --epochs 1 --lr 1 --schedule constant
	rates_are "1 0.5 2 1 1 0.5" --epochs 1 --lr 1 --schedule cosine-warmup --warmup .5
	# alone, --steps does not shorten the schedule; with --epochs the first to end ends
	rates_are "10 1" --steps 10 --lr 1
	rates_are "8 1" --steps 10 --epochs 2 --lr 1
	rates_are "3 1" --steps 3 --epochs 2 --lr 1
}

# ---- long runs ----

# stop_at STEP OPTIONS...: SIGTERM behind that step
stop_at() {
	local pid i step=$1
	shift
	rm -f "$T/log"
	timeout --foreground -k 2 "$LIMIT" sae-train -i raw.sae "$@" --log "$T/log" >"$OUT" 2>"$ERR" 3>&- &
	pid=$!
	for ((i = 0; i < 1000; i++)); do
		[[ -e $T/log && $(wc -l <"$T/log") -ge $step ]] && break
		sleep 0.01
	done
	status=0 last="sae-train $*"
	kill -TERM $pid
	wait $pid || status=$?
}

@test "stopped by a signal: a checkpoint, 75, and --resume gives the same bytes" {
	local arch run
	for arch in msae-rw batchtopk jumprelu; do
		case=$arch
		run=(--latents 40 --batch 64 --arch $arch --lr 1e-3 --epochs 300 --dead revive --jitter .2 --start data --init-bias median)
		[[ $arch != batchtopk ]] || run+=(-k 4)
		rm -f "$T"/m*
		stop_at 20 "${run[@]}" -o "$T/m"
		status_is 75
		one_line sae-train
		says "--resume $T/m.checkpoint"
		[[ ! -e $T/m ]] || problem "a model was written"
		[[ -e $T/m.checkpoint ]] || { problem "no checkpoint"; continue; }
		ok sae-train -i raw.sae --resume "$T/m.checkpoint" --log "$T/log" -o "$T/m"
		ok sae-train -i raw.sae "${run[@]}" -o "$T/whole"
		same "$T/m" "$T/whole"
		# a checkpoint is a model
		normalize -m "$T/m.checkpoint" -i raw.sae | sae-encode -m "$T/m.checkpoint" >"$T/z"
		whole "$T/z" 200
	done
	case=
}

@test "checkpoints at intervals, and going on from one" {
	ok sae-train raw.npy "${small[@]}" --epochs 3 --checkpoint "$T/ck" --checkpoint-every 5 -o "$T/a"
	ok sae-train raw.npy --resume "$T/ck" -o "$T/b"
	same "$T/a" "$T/b"
	grep -q "step 10 of 12" "$OUT" || problem "went on from elsewhere: $(cat "$OUT")"
	# another run's options, rows, shape
	refused 64 sae-train raw.npy --resume "$T/ck" --seed 4 -o "$T/c"
	says "seed 3"
	refused 64 sae-train raw.npy --resume "$T/ck" --latents 41 -o "$T/c"
	says "latents 40"
	ok sae-train raw.npy --resume "$T/ck" --seed 3 --lr 0.001 -o "$T/c"
	same "$T/a" "$T/c"
	plant-embeddings --rows 200 --dim 16 --seed 9 | write-embeddings "$T/other.npy"
	refused 65 sae-train "$T/other.npy" --resume "$T/ck" -o "$T/d"
	says "other rows"
	plant-embeddings --rows 200 --dim 17 --seed 9 | write-embeddings "$T/wide.npy"
	refused 65 sae-train "$T/wide.npy" --resume "$T/ck" -o "$T/d"
	says "rows of 16 numbers"
	refused 65 sae-train raw.npy --resume "$T/a" -o "$T/d"
	says "not a checkpoint"
	refused 66 sae-train raw.npy --resume "$T/none" -o "$T/d"
	head -c 3000 "$T/ck" >"$T/cut"
	refused 65 sae-train raw.npy --resume "$T/cut" -o "$T/d"
	[[ ! -e $T/d ]] || problem "a model was written"
}

@test "a checkpoint that cannot be written does not end the run" {
	mkdir "$T/dir"
	local pid i
	timeout -k 2 "$LIMIT" sae-train -i raw.sae "${small[@]}" --epochs 200 --checkpoint "$T/dir/ck" --checkpoint-every 5 --log "$T/log" -o "$T/m" >"$OUT" 2>"$ERR" 3>&- &
	pid=$!
	for ((i = 0; i < 1000; i++)); do
		[[ -e $T/dir/ck ]] && break
		sleep 0.01
	done
	mv "$T/dir" "$T/away" # as if the disk were gone
	for ((i = 0; i < 1000; i++)); do
		[[ -s $ERR ]] && break
		sleep 0.01
	done
	mv "$T/away" "$T/dir"
	status=0 last="sae-train with its checkpoints taken away"
	wait $pid || status=$?
	status_is 0
	says "the training goes on"
	[[ -e $T/m && -e $T/dir/ck ]] || problem "no model, or no checkpoint"
}

@test "a loss that is not finite: stops, names step and checkpoint, writes no model" {
	refused 65 sae-train raw.npy "${small[@]}" --lr 1e30 --clip 0 --loss mse --epochs 30 --schedule constant --checkpoint "$T/ck" --checkpoint-every 1 -o "$T/m"
	says "step "
	says "the checkpoint $T/ck is of step"
	[[ ! -e $T/m ]] || problem "a model was written"
	normalize -m "$T/ck" -i raw.sae >"$T/x"
	whole "$T/x" 200
}

@test "the log: a line of JSON a step, an evaluation an epoch" {
	need_python
	ok sae-train raw.npy "${small[@]}" --epochs 2 --valid raw.npy --log "$T/log" -o "$T/m"
	grep -q "^epoch 2: raw.npy: FVU" "$OUT" || problem "no evaluation on standard output"
	py "$T/log" "$T/m" <<'E'
import json
import sys
import numpy as np
import sae
lines = [json.loads(l) for l in open(sys.argv[1])]
steps = [l for l in lines if "loss" in l]
valid = [l for l in lines if "valid" in l]
assert [l["step"] for l in steps] == list(range(1, 9)) and [l["epoch"] for l in valid] == [1, 2]
assert all(len(l["levels"]) == 3 and l["grad_norm"] > 0 and l["lr"] == 1e-3 for l in steps)
assert lines[-1] == {"event": "done", "step": 8}
t, _ = sae.read_model(sys.argv[2])
x = (np.load("raw.npy").astype(float) - t["mean"]) * t["scale"]
p = np.maximum((x - t["b_dec"]) @ t["W_enc"].astype(float) + t["b_enc"], 0)
var = lambda a: a.var(1)
def measures(z):
    y = z @ t["W_dec"].astype(float) + t["b_dec"]
    return {"fvu": (var(x - y) / var(x)).mean(), "fvu_data": ((x - y) ** 2).sum() / ((x - x.mean(0)) ** 2).sum(),
            "cosine": ((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)).mean(),
            "mae": (abs(x - y).mean(1) / abs(x).mean(1)).mean(), "l0": (z > 0).sum(1).mean(), "zeros": (z == 0).mean()}
def close(said, z):
    for name, want in measures(z).items():
        assert abs(said[name] - want) <= 1e-5 * max(abs(want), 1e-2), (name, said[name], want)
v = valid[-1]["valid"]
close(v, p)
assert [a["k"] for a in v["at"]] == [16, 32] and v["silent"] == (p.max(0) == 0).sum() and v["rows"] == 200
for a in v["at"]:
    close(a, sae.keep(p, a["k"]))
E
}

@test "--dead revive brings silent latents back" {
	need_python
	py "$T" <<'E'
import sys
import sae
# half of the latents cannot become active: no gradient reaches them
t = sae.random_model(16, 40, seed=1)
t["b_enc"][:20] = -1e3
sae.write_model(f"{sys.argv[1]}/half.msae", t, nesting="4,40")
E
	local run=(raw.npy --init "$T/half.msae" --batch 50 --epochs 20 --lr 1e-3)
	ok sae-train "${run[@]}" --log "$T/none" -o "$T/a"
	ok sae-train "${run[@]}" --dead revive --log "$T/revive" -o "$T/b"
	dead() { grep '"dead"' "$1" | tail -n 1 | sed 's/.*"dead":\([0-9]*\).*/\1/'; }
	[[ $(dead "$T/none") -ge 20 ]] || problem "without: $(dead "$T/none") dead"
	[[ $(dead "$T/revive") == 0 ]] || problem "with: $(dead "$T/revive") dead"
	[[ $(tail -n 2 "$T/revive" | sed -n 's/.*"revived":\([0-9]*\).*/\1/p') -ge 20 ]] || problem "fewer than 20 were revived"
}

# ---- what is refused ----

@test "command lines that make no sense are 64" {
	bad() { refused 64 sae-train raw.npy "$@"; }
	bad
	says "-o MODEL"
	bad -o "$T/m" --arch mlp
	says "msae-rw, msae-uw, topk"
	bad -o "$T/m" --arch topk -k 41 --latents 40 --batch 20
	says "-k 41"
	bad -o "$T/m" --latents 40 --nesting 8,8 --batch 20
	says "rise"
	bad -o "$T/m" --latents 40 --nesting 8,41 --batch 20
	says "40 latents"
	bad -o "$T/m" --latents 40 --nesting 8,16 --weights 1,2,3 --batch 20
	says "2 numbers"
	bad -o "$T/m" --init m.msae --latents 40 --batch 20
	says "24 latents"
	local o
	for o in "--arch topk -k 0" "-k 4" "--nesting 16,8" "--nesting 0,8" "--nesting 8,x" "--nesting 8,16 --weights 0,0" \
		"--expansion 2" "--epochs 0" "--steps 0" "--batch 0" "--lr 0" "--lr -1" "--clip -1" "--beta2 1" "--schedule never" \
		"--loss huber" "--dead raise" "--init-bias mode" "--preset worst" "--decay-from 2" "--warmup 1" "--arch relu --l0 1" \
		"--arch relu --l1 -1" "--arch jumprelu --jump far" "--arch jumprelu --bandwidth 0" "--soft-cap -1" "--window 1parsec" "-i raw.sae"; do
		bad -o "$T/m" --latents 40 --batch 20 $o
	done
	bad -o "$T/m" --latents 0 --batch 20
	bad -o "$T/m" --expansion 0 --batch 20
	bad -o "$T/m" --init m.msae --resume m.msae
	[[ ! -e $T/m ]] || problem "a model was written"
}

@test "bad rows are 65 and named" {
	refused 65 sae-train raw.npy -o "$T/m"
	says "200 rows are fewer than a batch of 4096"
	cp raw.npy "$T/nan.npy"
	printf '\x00\x00\xc0\x7f' | dd of="$T/nan.npy" bs=1 seek=$((128 + 64 * 16 * 2)) conv=notrunc 2>/dev/null
	refused 65 sae-train raw.npy "$T/nan.npy" "${small[@]}" -o "$T/m"
	says "nan.npy: row 32 holds NaN"
	plant-embeddings --rows 200 --dim 16 --seed 9 | write-embeddings "$T/a.npy"
	plant-embeddings --rows 200 --dim 17 --seed 9 | write-embeddings "$T/b.npy"
	refused 65 sae-train "$T/a.npy" "$T/b.npy" "${small[@]}" -o "$T/m"
	says columns
	refused 65 sae-train "$T/a.npy" --valid "$T/b.npy" "${small[@]}" -o "$T/m"
	says "rows have 17 numbers"
	refused 65 sae-train "$T/b.npy" --init m.msae --batch 20 -o "$T/m"
	says "m.msae: takes rows of 16 numbers"
	refused 65 sae-train -i z.sae "${small[@]}" -o "$T/m"
	says "no column x"
	normalize -m m.msae -i raw.sae -o "$T/x"
	cat "$T/x" fit.sae >"$T/two"
	refused 65 sae-train -i "$T/two" "${small[@]}" -o "$T/m"
	says "normalised in different ways"
	frames --text --rows -i raw.sae | sed -n '1p;$s/"frames":[0-9]*,"rows":[0-9]*,"sum":"[^"]*"/"frames":0,"rows":0/p' | frames --pack >"$T/empty"
	refused 65 sae-train -i "$T/empty" "${small[@]}" -o "$T/m"
	says "no rows"
	[[ ! -e $T/m ]] || problem "a model was written"
	cat fit.sae fit.sae >"$T/two"
	ok sae-train -i "$T/two" "${small[@]}" --steps 1 -o "$T/m"
}

@test "what a stream, a checkpoint and options claim is checked" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
import sae
x = np.random.default_rng(1).normal(size=(200, 16)).astype("f4")
norm = {"how": "fit", "mean": sae.tensor(np.zeros(2, "f4")), "scale": sae.tensor(np.ones(1, "f4"))}
sae.write(f"{sys.argv[1]}/narrow.sae", sae.stream({"x": x}, 64, norm=norm))
E
	refused 65 sae-train -i "$T/narrow.sae" "${small[@]}" -o "$T/m"
	says "mean has 2 numbers"
	refused 64 sae-train raw.npy --preset best --latents 9223372036854775807 --batch 20 -o "$T/m"
	refused 64 sae-train raw.npy --seed 18446744073709551615 --batch 20 -o "$T/m"
	local o
	for o in "--weights -1,1" "--weights 1e308,1e308" "--weights nan,1" "--soft-cap 1e-50" "--soft-cap 1e300" "--arch jumprelu --bandwidth 1e-50"; do
		refused 64 sae-train raw.npy --latents 40 --nesting 4,40 --batch 20 $o -o "$T/m"
	done
	# odd spellings of weights are weights
	ok sae-train raw.npy --latents 40 --nesting 4,40 --batch 20 --steps 1 --weights +1,1e1 -o "$T/odd"
	grep -aq '"weighting":"1,10"' "$T/odd" || problem "weights are not written as numbers"

	ok sae-train raw.npy "${small[@]}" --epochs 2 --checkpoint "$T/ck" --checkpoint-every 5 -o "$T/a"
	refused 64 sae-train raw.npy --resume "$T/ck" --as-is -o "$T/b"
	refused 64 sae-train raw.npy --resume "$T/ck" --preset best -o "$T/b"
	refused 64 sae-train raw.npy --resume "$T/ck" --expansion 3 -o "$T/b"
	ok sae-train ./raw.npy --resume "$T/ck" -o "$T/b"
	same "$T/a" "$T/b"
	damage() { # SED: a checkpoint whose recipe is of the same length, but wrong
		LC_ALL=C sed "$1" "$T/ck" >"$T/bad"
		! cmp -s "$T/ck" "$T/bad" || problem "nothing was damaged: $1"
		refused 65 sae-train raw.npy --resume "$T/bad" -o "$T/c"
		says "$T/bad"
	}
	damage 's/arch=msae-rw latents=40/                       /'
	damage 's/arch=msae-rw/arch=msae-xx/'
	damage 's/loss=nmse/loss=abcd/'
	damage 's/loss=nmse/         /'
	damage 's/nesting=4,16,40/               /'
	damage 's/latents=40/latents=80/'
	damage 's/batch=64/batch=00/'
	damage 's/epochs=2/epochs=-/'
	damage 's/epochs=2/epochs=1/'
	[[ ! -e $T/c ]] || problem "a model was written"

	echo precious >"$T/log"
	refused 64 sae-train raw.npy --arch nope --log "$T/log" -o "$T/m"
	[[ $(cat "$T/log") == precious ]] || problem "the log of before is gone"
	[[ ! -e $T/m ]] || problem "a model was written"
}

@test "a model that cannot be written: stopped, it is in a checkpoint" {
	mkdir "$T/dir"
	local pid i
	timeout --foreground -k 2 "$LIMIT" sae-train raw.npy "${small[@]}" --epochs 100 --checkpoint "$T/ck" --checkpoint-every 9999 --log "$T/log" -o "$T/dir/m" >"$OUT" 2>"$ERR" 3>&- &
	pid=$!
	for ((i = 0; i < 1000; i++)); do
		[[ -s $T/log ]] && break
		sleep 0.01
	done
	mv "$T/dir" "$T/away"
	for ((i = 0; i < 1000; i++)); do
		grep -q "trying again" "$ERR" && break
		sleep 0.01
	done
	kill -TERM $pid
	status=0 last="sae-train with its directory taken away"
	wait $pid || status=$?
	status_is 75
	says "--resume $T/ck"
	ok sae-train raw.npy --resume "$T/ck" -o "$T/m"
	ok sae-train raw.npy "${small[@]}" --epochs 100 -o "$T/n"
	same "$T/m" "$T/n"
}

@test "columns that never vary are fine, and said; rows that never vary are not" {
	need_python
	py "$T" <<'E'
import sys
import numpy as np
x = np.load("raw.npy")
x[:, [2, 5]] = 7
np.save(f"{sys.argv[1]}/still.npy", x)
np.save(f"{sys.argv[1]}/same.npy", np.repeat(x[:1], 100, 0))
E
	ok sae-train "$T/still.npy" "${small[@]}" --epochs 1 -o "$T/m"
	says "2 of 16 columns never vary"
	refused 65 sae-train "$T/same.npy" "${small[@]}" --epochs 1 -o "$T/n"
	says "are the same"
}

@test "what cannot be written is said before the work" {
	refused 73 sae-train raw.npy "${small[@]}" -o "$T/no/such/m"
	refused 73 sae-train raw.npy "${small[@]}" --checkpoint "$T/no/such/ck" -o "$T/m"
	refused 73 sae-train raw.npy "${small[@]}" --log "$T/no/such/log" -o "$T/m"
	refused 73 sae-train raw.npy "${small[@]}" -o "$T"
	[[ ! -e $T/m ]] || problem "a model was written"
	TMPDIR=$T/nowhere refused 73 sae-train -i raw.sae "${small[@]}" -o "$T/m"
	says TMPDIR
}
