# Models of other libraries: what their own formulae say (tests/models.py), to one
# file and to SAELens and back; what does not say enough or lies is refused.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	[[ -n $PYTHON ]] || return 0
	mkdir cases
	"$PYTHON" "$TESTS/models.py" cases
	read-embeddings cases/openai_topk/input.npy -o rows.sae
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

# of NAME: the path of a case's model.
of() {
	local name=cases/$1
	compgen -G "$name/*.json" | grep -qv case.json && echo "$name" || echo "$name"/*.pt*
}

@test "codes and reconstructions of every library, as its formulae say; the same out of our own file" {
	need_python
	LIMIT=400 ok "$PYTHON" "$TESTS/conform.py" dev cases
	cat "$OUT"
}

@test "the libraries' own files and the hostile ones, where MSAE_CONFORM names them" {
	need_python
	[[ -n ${MSAE_CONFORM:-} ]] || skip "MSAE_CONFORM is not set"
	LIMIT=550 ok "$PYTHON" "$TESTS/conform.py" dev "$MSAE_CONFORM/dev"
	cat "$OUT"
	LIMIT=550 ok "$PYTHON" "$TESTS/conform.py" hostile "$MSAE_CONFORM/hostile"
	cat "$OUT"
}

@test "codes do not depend on threads or frames, whatever the rule" {
	need_python
	for name in sparsify_groupmax sparsify_signed latentsae_gated latentsae_lista openai_identity openai_topk sparsify_skip_bf16; do
		case=$name
		ok sae-encode -m "$(of $name)" -i rows.sae -o "$T/a"
		ok sae-encode -m "$(of $name)" -t 3 -i rows.sae -o "$T/b"
		same "$T/a" "$T/b"
		sae rebatch rows.sae "$T/cut" 2
		ok sae-encode -m "$(of $name)" -i "$T/cut" -o "$T/b"
		sae same "$T/a" "$T/b" 1e-6
	done
}

@test "sae-convert: to SAELens and back the same model" {
	need_python
	for name in saelens_standard_nobdec_f64 saelens_topk_rescale saelens_gated_layer saelens_length saelens_skip_transcoder dl_matryoshka dl_jumprelu; do
		case=$name
		ok sae-convert "$(of $name)" "$T/$name.msae"
		ok sae-convert "$T/$name.msae" "$T/$name/"
		ok sae-convert "$T/$name/" "$T/back.msae"
		py "$T/$name.msae" "$T/back.msae" <<-'E'
			import sys
			from sae import *
			(a, m), (b, n) = read_model(sys.argv[1]), read_model(sys.argv[2])
			assert set(a) == set(b), (set(a), set(b))
			for k in a:
			    assert a[k].tobytes() == b[k].tobytes(), k
			for k in set(m) - {"library", "folded"}:
			    assert m[k] == n.get(k), (k, m[k], n.get(k))
		E
	done
	# our own, with a mean and scale
	py "$T/own.msae" <<-'E'
		import sys
		from sae import *
		write_model(sys.argv[1], random_model(8, 12), nesting="4,12", weighting="rw", trained_on="x", rows=7, seed=3)
	E
	case=
	ok sae-convert "$T/own.msae" "$T/own" --to saelens
	ok sae-convert "$T/own" "$T/back.msae"
	py "$T/own.msae" "$T/own" "$T/back.msae" <<-'E'
		import json, os, sys
		from sae import *
		(a, m), (b, n) = read_model(sys.argv[1]), read_model(sys.argv[3])
		for k in a:
		    np.testing.assert_allclose(a[k], b[k], rtol=3e-7, atol=0, err_msg=k)
		for k in ("mean", "scale", "b_dec", "b_enc"):
		    assert a[k].tobytes() == b[k].tobytes(), k
		assert all(m[k] == n[k] for k in m), (m, n)
		# as SAELens computes, of raw rows
		w, _ = read_model(sys.argv[2] + "/sae_weights.safetensors")
		cfg = json.load(open(sys.argv[2] + "/cfg.json"))
		assert cfg["architecture"] == "standard" and cfg["apply_b_dec_to_input"] and cfg["d_in"] == 8 and cfg["d_sae"] == 12
		raw = np.random.default_rng(1).normal(size=(50, 8))
		z = np.maximum((raw - w["b_dec"]) @ w["W_enc"] + w["b_enc"], 0)
		want = encode(a, (raw - a["mean"]) * a["scale"])
		np.testing.assert_allclose(z, want, atol=1e-5)
		np.testing.assert_allclose(z @ w["W_dec"] + w["b_dec"], decode(a, want) / a["scale"] + a["mean"], atol=1e-5)
	E
	refused 73 sae-convert "$T/own.msae" "$T/own/"
	says "is there already"
	[[ $(ls "$T" | grep -c '^own\.') -eq 1 ]] || problem "something is left beside it: $(ls "$T")"
}

@test "sae-convert: what SAELens cannot express is refused by name" {
	need_python
	while read -r name want; do
		case=$name
		refused 65 sae-convert "$(of "$name")" "$T/out/"
		says "$want"
		[[ ! -e $T/out ]] || problem "$T/out was made"
	done <<-'E'
		msae_normalized_cap soft cap
		latentsae_lista lista
		sparsify_groupmax groupmax
		openai_identity signed
		latentsae_jumprelu thresholds and a k
		sparsify_transcode topk transcoder
		sparsify_skip_bf16 skip connection
	E
}

@test "sae-convert --info describes any model" {
	need_python
	ok sae-convert --info "$(of openai_topk)" m.msae
	grep -q 'OpenAI' "$OUT" && grep -q '^decoder norms' "$OUT" && grep -q '^never fired .*1 of 15' "$OUT" || problem "$(cat "$OUT")"
	for name in cases/*/; do
		name=$(basename "$name") case=$name
		[[ $name != msae_bare_name ]] || continue
		ok sae-convert --info --json "$(of "$name")"
		"$PYTHON" -c 'import json, sys; o = json.load(sys.stdin); assert o["inputs"] == 6 and o["latents"] == 15 and len(o["sha256"]) == 64 and o["dead"] == 0, o' <"$OUT" || problem "$(cat "$OUT")"
	done
}

@test "streams know the model of another library, and which settings it had" {
	need_python
	sae-encode -m "$(of dl_topk)" -i rows.sae -o "$T/z"
	ok sae-decode -m "$(of dl_topk)" -i "$T/z"
	refused 65 sae-decode -m "$(of dl_autoencoder)" -i "$T/z"
	cp -r "$(of dl_topk)" "$T/other"
	sed -i 's/"k": 3/"k": 4/' "$T/other/config.json"
	refused 65 sae-decode -m "$T/other" -i "$T/z"
	# of a file alone it is the file's own
	ok sae-convert --info --json "$(of dl_jumprelu)"
	grep -q "$(sha256sum <"$(of dl_jumprelu)" | cut -c1-64)" "$OUT" || problem "not the digest of the file: $(cat "$OUT")"
	# of several it is that of the lines docs/MODELS.md names
	printf 'weights %s\nconfig %s\n' "$(sha256sum <"$(of dl_topk)/ae.pt" | cut -c1-64)" "$(sha256sum <"$(of dl_topk)/config.json" | cut -c1-64)" | sha256sum | cut -c1-64 >"$T/want"
	ok sae-convert --info --json "$(of dl_topk)"
	grep -q "$(cat "$T/want")" "$OUT" || problem "not the digest of its lines: $(cat "$OUT")"
}

@test "sae-decode wants the columns that such models need, and gives them up" {
	need_python
	for name in openai_topk sparsify_skip_bf16; do
		case=$name
		sae-encode -m "$(of $name)" -i rows.sae -o "$T/z"
		ok sae-decode -m "$(of $name)" -i "$T/z" -o "$T/xhat"
		frames --text "$T/xhat" | grep -qE 'rowform|skip' && problem "passes the column on"
		frames --text --rows -i "$T/z" | sed -E 's/"(rowform|skip)":/"other":/g' | frames --pack >"$T/without"
		refused 65 sae-decode -m "$(of $name)" -i "$T/without"
		says "is missing"
	done
}

@test "programs work with models of other libraries, or say what they cannot do" {
	need_python
	ok sae-eval -m "$(of openai_topk)" --no-cknna --progressive -i rows.sae
	ok sae-eval -m "$(of saev_topk)" --no-cknna -i rows.sae
	refused 65 sae-eval -m "$(of saev_topk)" --no-cknna --progressive -i rows.sae
	says "may be negative"
	refused 65 sae-eval -m "$(of saelens_skip_transcoder)" --no-cknna -i rows.sae
	says "skip connection"
	ok sae-align "$(of openai_topk)" "$(of dl_gated)"
	refused 65 sae-align "$(of openai_topk)" "$(of saelens_skip_transcoder)" --decoder
	refused 65 sae-train --init "$(of openai_topk)" --latents 15 --steps 1 -o "$T/m" -i rows.sae
	says "normalises each row"
	ok sae-encode -m "$(of dl_gated)" --keep -i rows.sae -o "$T/z"
	ok steer --scale 3=0 -m "$(of dl_gated)" --keep-residual -i "$T/z"
	sae-encode -m "$(of openai_topk)" --keep -i rows.sae -o "$T/z"
	refused 65 steer --scale 3=0 -m "$(of openai_topk)" --keep-residual -i "$T/z"
	seq 9 >"$T/ids"
	read-embeddings cases/openai_topk/input.npy --ids "$T/ids" -o "$T/words"
	ok name-concepts -m "$(of openai_topk)" --null 0 --min-sim .1 -o "$T/names.json" -i "$T/words"
	normalize -m "$(of dl_gated)" -i rows.sae -o "$T/x"
	ok concept-search -m "$(of dl_gated)" -q '#3' -i "$T/x"
	ok report -m "$(of openai_topk)" -i "$T/z"
}

@test "an evaluation measures what the library reconstructs, rows normalised one by one too" {
	need_python
	for name in openai_topk saelens_length bartbussmann prisma latentsae_gated latentsae_jumprelu sparsify_groupmax saev_topk; do
		case=$name
		read-embeddings "cases/$name/input.npy" | sae-eval -m "$(of $name)" --no-cknna --json >"$T/eval" || problem "no evaluation"
		py "cases/$name" "$T/eval" <<-'E'
			import json, sys
			import numpy as np
			x, y, z = (np.load(f"{sys.argv[1]}/{f}.npy").astype("f8") for f in ("input", "recon", "codes"))
			got = json.load(open(sys.argv[2]))["as_used"]
			np.testing.assert_allclose(got["fvu"]["mean"], np.mean((x - y).var(1) / x.var(1)), rtol=1e-4)
			np.testing.assert_allclose(got["l0"]["mean"], (z != 0).sum(1).mean(), rtol=1e-8)
		E
	done
}

@test "what does not say enough, or contradicts itself, is refused with what to do" {
	need_python
	refused 65 sae-encode -m cases/msae_bare_name/model.pth -i rows.sae
	says "--set activation="
	mkdir "$T/empty" "$T/two"
	refused 65 sae-encode -m "$T/empty" -i rows.sae
	says "a directory without weights"
	cp cases/dl_jumprelu/ae.pt "$T/two/a.pt" && cp cases/dl_jumprelu/ae.pt "$T/two/b.pt"
	refused 65 sae-encode -m "$T/two" -i rows.sae
	says "2 files of weights"
	cp -r cases/saelens_topk_rescale "$T/s"
	while IFS='~' read -r case want; do
		sed "$case" cases/saelens_topk_rescale/cfg.json >"$T/s/cfg.json"
		refused 65 sae-encode -m "$T/s" -i rows.sae
		says "$want"
	done <<-'E'
		s/"k": 3/"k": 16/~k is not a whole number from 1 to 15
		s/"k": 3/"k": "3"/~k is not a whole number from 1 to 15
		s/"topk"/"quantum"/~quantum
		s/"d_in": 6/"d_in": 7/~d_in is 7
		s/"none"/"foo"/~foo
		s/_input": true/_input": "false"/~neither true nor false
		s/"d_in"/"x/~JSON
	E
	case=
	rm "$T/s/cfg.json"
	refused 65 sae-encode -m "$T/s" -i rows.sae
	says "no configuration beside it"
	refused 64 sae-convert cases/dl_jumprelu/ae.pt "$T/out" --set threshold=1
	says "no such setting"
	refused 64 sae-convert cases/dl_jumprelu/ae.pt "$T/out" --from nobody
	says "dictionary_learning"
	refused 65 sae-convert cases/dl_jumprelu/ae.pt "$T/out" --from OpenAI
	says "is missing"
	refused 64 sae-convert m.msae "$T/out" --set k=1
	refused 64 sae-encode -m "$(of dl_matryoshka)" --groups 4 -i rows.sae
	says "3 nested dictionaries"
	refused 66 sae-convert none.pt "$T/out"
	refused 65 sae-convert raw.npy "$T/out"
	refused 64 sae-convert m.msae
	refused 64 sae-convert m.msae "$T/out" --json
	[[ ! -e $T/out ]] || problem "$T/out was written"
}

@test "latents with NaN are left out with a warning; a NaN that would be in every row is refused" {
	need_python
	py "$T" <<-'E'
		import sys
		from models import *
		for name, where in (("latent", ("E", (2, 4))), ("decoder", ("W", (5, 1))), ("bias", ("bd", (3,)))):
		    n = Numbers(1)
		    getattr(n, where[0])[where[1]] = np.nan if name != "decoder" else np.inf
		    save_pt(f"{sys.argv[1]}/{name}.pt", OD(W_enc=t(n.E), b_enc=t(n.be), W_dec=t(n.W), b_dec=t(n.bd), threshold=t(n.t)))
	E
	ok sae-encode -m "$T/latent.pt" -i rows.sae -o "$T/z"
	says "1 of 15 latents, #4 first"
	ok sae-decode -m "$T/latent.pt" -i "$T/z"
	ok sae-encode -m "$T/decoder.pt" -i rows.sae -o "$T/z"
	says "1 of 15 latents, #5 first"
	refused 65 sae-encode -m "$T/bias.pt" -i rows.sae
	says "NaN or infinity"
}
