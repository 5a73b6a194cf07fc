# steer: codes with chosen concepts changed, and embeddings of them.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	plant-embeddings --rows 5 --dim 8 --concepts 12 --seed 6 --truth other.msae --names other.json -o other.sae
	# two latents of one name, one name that is valid nowhere, odd names
	sed 's/"latent":5,"name":"[^"]*"/"latent":5,"name":"zebra"/; s/"latent":3,"name":"[^"]*","valid":true/"latent":3,"name":"hidden","valid":false/
		s/"latent":7,"name":"[^"]*"/"latent":7,"name":"a=b"/; s/"latent":8,"name":"[^"]*"/"latent":8,"name":"2"/; s/"latent":9,"name":"[^"]*"/"latent":9,"name":"fire_truck"/' names.json >odd.json
	zebra=$(sed -n 's/.*"latent":\([0-9]*\),"name":"zebra".*/\1/p' names.json)
	export zebra
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# steered OPTION...: z with the edits as an .npy on standard output
steered() { steer "$@" -i z.sae | write-embeddings --column z -; }

@test "set, scale and add, in the order of the command line, against numpy" {
	need_python
	[[ -n $zebra && $zebra != 5 ]] || problem "the world has no zebra: $zebra"
	steered -c names.json >"$T/0.npy"
	steered -c names.json --set zebra=3.5 >"$T/set.npy"
	steered -c odd.json --scale zebra=.5 --add '#1=.25' --set 'a=b=2' >"$T/many.npy"
	steered -c odd.json --add zebra=1 --scale zebra=2 --add zebra=-3 --add '#0=1' --set '#0=0' >"$T/order.npy"
	steered -c odd.json --set '2=1' --set '#2=7' --set 10=1.5 --set 'fire truck=6' >"$T/numbers.npy"
	py "$T" "$zebra" <<-'E'
		import sys
		import numpy as np
		d, j = sys.argv[1], int(sys.argv[2])
		z = np.load(d + "/0.npy")
		def check(name, want):
		    got = np.load(f"{d}/{name}.npy")
		    want = np.where(want > 0, want, 0).astype("f4")
		    assert got.dtype == "f4" and got.tobytes() == want.tobytes(), name
		w = z.copy(); w[:, j] = 3.5
		check("set", w)
		w = z.copy(); w[:, [j, 5]] *= .5; w[:, 1] += .25; w[:, 7] = 2
		check("many", w)
		w = z.astype("f8"); w[:, [j, 5]] = (w[:, [j, 5]] + 1) * 2 - 3; w[:, 0] = 0
		check("order", w)
		w = z.copy(); w[:, 8] = 1; w[:, 2] = 7; w[:, 10] = 1.5; w[:, 9] = 6
		check("numbers", w)
	E
}

@test "steering by nothing gives the reconstruction, bit for bit" {
	sae-decode -m m.msae -i z.sae | normalize --undo | write-embeddings "$T/plain.npy"
	for how in "" "-c names.json" "-c names.json --scale zebra=1" "-c names.json --scale zebra=1 --add #0=0 --scale #11=1"; do
		last="steer $how"
		steer $how -i z.sae | sae-decode -m m.msae | normalize --undo | write-embeddings "$T/steered.npy"
		same "$T/plain.npy" "$T/steered.npy"
	done
	steer -c names.json --set zebra=9 -i z.sae | sae-decode -m m.msae | normalize --undo | write-embeddings "$T/steered.npy"
	! cmp -s "$T/plain.npy" "$T/steered.npy" || problem "steering changes nothing"
}

@test "with the residual an unsteered row is itself, a steered one differs by the decoder row" {
	need_python
	steer -m m.msae --keep-residual -i zx.sae | sae-decode -m m.msae -o "$T/whole.sae"
	whole "$T/whole.sae" 40
	! frames -i "$T/whole.sae" | head -n 1 | grep -q '"residual":{' || problem "the residual is still declared"
	normalize --undo -i "$T/whole.sae" | write-embeddings "$T/whole.npy"
	steer -c names.json --set zebra=5 -m m.msae --keep-residual -i zx.sae | sae-decode -m m.msae | write-embeddings "$T/steered.npy"
	# what is cut away after the residual was taken is missed, what is cut away before is not
	topk -k 1 -i zx.sae | steer -m m.msae --keep-residual | sae-decode -m m.msae | write-embeddings "$T/one.npy"
	write-embeddings -i x.sae "$T/x.npy"
	write-embeddings --column z -i z.sae "$T/z.npy"
	py "$T" "$zebra" <<-'E'
		import sys
		import numpy as np
		from sae import *
		d, j = sys.argv[1], int(sys.argv[2])
		load = lambda n: np.load(f"{d}/{n}.npy")
		m, _ = read_model("m.msae")
		x, z = load("x"), load("z")
		np.testing.assert_allclose(load("whole"), np.load("raw.npy"), rtol=0, atol=1e-6 * abs(np.load("raw.npy")).max())
		np.testing.assert_allclose(load("one"), x, rtol=0, atol=1e-6 * abs(x).max())
		want = x + np.outer(5 - z[:, j], m["W_dec"][j].astype("f8"))
		np.testing.assert_allclose(load("steered"), want, rtol=0, atol=3e-6 * abs(want).max())
	E
}

@test "x and xhat do not outlive what they were, but with --keep" {
	sae-decode -m m.msae --keep -i zx.sae -o "$T/all.sae"
	columns() { frames -i "$1" | head -n 1 | grep -oE '"(x|xhat|z|id|residual)":\{' | tr -dc 'a-z\n' | sort | paste -sd' '; }
	ok steer --set '#1=1' -i "$T/all.sae"
	[[ $(columns "$OUT") == "id z" ]] || problem "has $(columns "$OUT")"
	whole "$OUT" 40
	ok steer --set '#1=1' --keep -i "$T/all.sae"
	[[ $(columns "$OUT") == "id x xhat z" ]] || problem "has $(columns "$OUT")"
	ok steer -m m.msae --keep-residual -i "$T/all.sae"
	[[ $(columns "$OUT") == "id residual z" ]] || problem "has $(columns "$OUT")"
}

@test "names that are not there, and what they may have been" {
	refused 64 steer -c odd.json --set zebr=1 -i z.sae
	says "no concept 'zebr'; did you mean zebra?"
	refused 64 steer -c odd.json --set hidden=1 -i z.sae
	says "#3"
	refused 64 steer -c odd.json --set hiden=1 -i z.sae
	! grep -q 'did you mean' "$ERR" || problem "suggests what it would refuse: $(heard)"
	refused 64 steer --set zebra=1 -i z.sae
	says "-c"
	refused 64 steer -c odd.json --set '#12=1' -i z.sae
	says "12 latents"
	refused 64 steer -c odd.json --set '#4294967296=1' -i z.sae
	refused 64 steer -c odd.json --set $'\e[31m=1' -i z.sae
	! grep -q $'\e' "$ERR" || problem "drives the terminal"
	frames --text --rows -i z.sae | sed '1s/,"z":{[^}]*}//; s/,"sum":"[^"]*"//' | frames --pack >"$T/undeclared"
	refused 64 steer --set '#12=1' -i "$T/undeclared"
}

@test "numbers that are none, and options that need others" {
	for case in zebra zebra= =1 = zebra=x zebra=1x zebra=nan zebra=inf zebra=1e999 'zebra=1 '; do
		refused 64 steer -c names.json --scale "$case" -i z.sae
		says "--scale"
	done
	case=
	refused 64 steer --keep-residual -i zx.sae
	refused 64 steer -m m.msae -i zx.sae
	refused 66 steer -c none.json -i z.sae
	refused 66 steer -m none.msae --keep-residual -i zx.sae
	refused 65 steer -m m.msae --keep-residual -i z.sae
	says "sae-encode --keep"
	refused 65 steer --scale '#0=1e38' --scale '#0=1e38' --add '#0=1e300' -i z.sae
	says "beyond"
	says "rows 0-15"
}

@test "a concepts file and a model of other codes are refused" {
	refused 65 steer -c other.json --set '#1=1' -i z.sae -o "$T/out"
	says "another model"
	refused 65 steer -m other.msae --keep-residual -i zx.sae -o "$T/out"
	says "another model"
	[[ ! -e $T/out ]] || problem "an output appeared"
}

@test "a residual of the wrong width is refused by sae-decode" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		z = np.ones((2, 12), "f4")
		write(sys.argv[1] + "/narrow", stream({"z": sparse(z), "residual": np.zeros((2, 7), "f4")}))
		r = np.zeros((2, 8), "f4"); r[1, 3] = np.nan
		write(sys.argv[1] + "/nan", stream({"z": sparse(z), "residual": r}))
		write(sys.argv[1] + "/text", stream({"z": sparse(z), "residual": ["a", "b"]}))
	E
	for case in narrow nan text; do
		refused 65 sae-decode --quiet -m m.msae -i "$T/$case"
		says "residual"
	done
	case=
}
