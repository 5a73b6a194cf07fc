# The scripts people start from: pipelines/ and examples/.
load helper

bats_require_minimum_version 1.5.0

setup_file() {
	pick_python
	cd "$BATS_FILE_TMPDIR" || return 1
	plant-embeddings --rows 500 --dim 16 --concepts 12 --active 2 --truth m.msae --names n.json |
		write-embeddings x.npy
	seq 500 | sed 's/^/photo-/' > ids.txt
}

setup() { cd "$BATS_FILE_TMPDIR" || return 1; }
teardown() { :; }
root() { echo "$BATS_TEST_DIRNAME/.."; }

@test "interpret: the pipeline of the README, with names, ids, kept codes and a page" {
	run -0 --separate-stderr "$(root)/pipelines/interpret" -m m.msae -c n.json -k 4 -i ids.txt -o codes.sae -w page.html x.npy
	[[ $output == *zebra* && $output == *photo-* && $output == *"500 in"* ]]
	[[ $stderr == "" ]]
	run -0 frames --check -i codes.sae
	grep -q zebra page.html
}

@test "interpret: what fails leaves no codes behind" {
	head -c 5000 x.npy > short.npy
	run ! "$(root)/pipelines/interpret" -m m.msae -o none.sae short.npy
	[[ ! -e none.sae ]]
	run -64 "$(root)/pipelines/interpret" x.npy
}

@test "search: words and concepts, with ids" {
	plant-embeddings --rows 500 --dim 16 --concepts 12 --active 2 --vocabulary -o words.sae
	write-embeddings -i words.sae words.npy
	seq -f "word %.0f" 12 > words.txt
	run -0 --separate-stderr "$(root)/pipelines/search" -w words.npy -W words.txt -n 3 -i ids.txt "word 1 + word 2" "word 3" -- x.npy
	[[ $stderr == "" && ${#lines[@]} == 10 && ${lines[0]} == "word 1 + word 2" && ${lines[2]} == *" photo-"* ]]
	run -0 "$(root)/pipelines/search" -m m.msae -c n.json -n 2 zebra -- x.npy
	[[ ${#lines[@]} == 4 && ${lines[0]} == zebra ]]
	run -64 "$(root)/pipelines/search" -c n.json zebra -- x.npy # no model
	[[ $output == *"-m MODEL is needed"* ]]
	run -64 "$(root)/pipelines/search" -m m.msae zebra -- x.npy
	run -64 "$(root)/pipelines/search" -m m.msae -c n.json -- x.npy
	run -64 "$(root)/pipelines/search" -m m.msae -c n.json zebra
}

@test "steer: changed rows; by nothing, the rows themselves" {
	need_python
	run -0 "$(root)/pipelines/steer" -m m.msae -o same.npy x.npy
	run -0 "$(root)/pipelines/steer" -m m.msae -c n.json -o more.npy x.npy -- --add zebra=2
	run -0 "$(root)/pipelines/steer" -m m.msae -r -o back.npy x.npy
	read-embeddings x.npy | normalize -m m.msae | sae-encode -m m.msae | sae-decode -m m.msae | normalize --undo | write-embeddings plain.npy
	cmp back.npy plain.npy
	"$PYTHON" -c '
import numpy as n
x, same, more = n.load("x.npy"), n.load("same.npy"), n.load("more.npy")
n.testing.assert_allclose(same, x, rtol=0, atol=1e-6 * abs(x).max())
by = (more - x)[0]
assert n.linalg.norm(by) > .01
n.testing.assert_allclose(more - x, n.tile(by, (500, 1)), rtol=0, atol=5e-6 * abs(x).max())'
	run -65 "$(root)/pipelines/steer" -m m.msae -c n.json -o none.npy x.npy -- --add zebr=2
	[[ $output == *"did you mean zebra?"* && ! -e none.npy ]]
	run -64 "$(root)/pipelines/steer" -m m.msae x.npy
}

@test "shards: parts side by side hold the rows of one pass" {
	run -0 env K=12 "$(root)/examples/shards" m.msae 3 out x.npy
	[[ ${lines[-1]} == "whole: 3 streams, "*" 500 rows, "* ]]
	cat out/part-{0,1,2}.sae | write-embeddings --column z parts.npy
	read-embeddings x.npy | normalize -m m.msae | sae-encode -m m.msae -k 12 | write-embeddings --column z whole.npy
	# other frames: equal to float32 rounding, on most machines to the byte
	cmp -s parts.npy whole.npy || {
		need_python
		"$PYTHON" -c 'import numpy as n; n.testing.assert_allclose(n.load("parts.npy"), n.load("whole.npy"), rtol=1e-5, atol=1e-5)'
	}
	rm out/part-1.sae # running it again makes what is missing
	run -0 env K=12 "$(root)/examples/shards" m.msae 3 out x.npy
	[[ -e out/part-1.sae ]]
	run -64 env K=12 "$(root)/examples/shards" m.msae 2 out x.npy # would take parts of three for parts of two
}

@test "train: a model, names for its latents, and going on after a stop" {
	plant-embeddings --rows 500 --dim 16 --concepts 12 --active 2 --vocabulary | write-embeddings words.npy
	seq -f "word %.0f" 12 > words.txt
	run -0 "$(root)/pipelines/train" -o t.msae -p paper -v x.npy -w words.npy -W words.txt -c t.json x.npy -- \
		--latents 24 --nesting 2,4,24 --batch 50 --epochs 20 --lr 3e-3
	[[ $output == *"epoch 20: x.npy: FVU"* && $output == *"of 24 latents have a valid name"* ]]
	[[ ! -e t.msae.checkpoint && $(grep -c '"loss"' t.msae.log) == 200 ]]
	grep -q '"name":"word ' t.json
	cp t.msae whole.msae
	sae-train x.npy --latents 24 --nesting 2,4,24 --batch 50 --epochs 20 --lr 3e-3 --steps 200 -q \
		--checkpoint t.msae.checkpoint --checkpoint-every 70 -o t.msae
	sae-train x.npy --latents 24 --nesting 2,4,24 --batch 50 --epochs 20 --lr 3e-3 --steps 200 -q -o whole.msae
	run -0 "$(root)/pipelines/train" -o t.msae x.npy
	[[ $output == *"going on from t.msae.checkpoint"* ]]
	cmp t.msae whole.msae
	run -64 "$(root)/pipelines/train" x.npy
	run -64 "$(root)/pipelines/train" -o t.msae -w words.npy x.npy
}

@test "demo: what is planted is learned, named and found" {
	cp -r "$(root)/pipelines" demo-here
	mkdir -p here && mv demo-here here/pipelines
	run -0 here/pipelines/demo
	learned=$(sed -n 's/^demo: \([0-9]*\) of 100 planted concepts were learned.*/\1/p' <<<"$output")
	[[ $learned -ge 95 ]]
	grep -q zebra here/demo/report.html
}

@test "name: words for the latents of a model, from the rows where they are strongest" {
	plant-embeddings --dim 16 --concepts 12 --active 2 --vocabulary -o words.sae
	write-embeddings words.npy < words.sae
	grep -o '"name":"[^"]*"' n.json | cut -d '"' -f 4 > words.txt
	[[ $(wc -l < words.txt) == 12 ]]
	run -0 --separate-stderr "$(root)/pipelines/name" -m m.msae -w words.npy -W words.txt -o named.json -f .5 x.npy
	[[ $output == "named.json: "*" latents have a valid name"* ]]
	grep -q '"by":"data"' named.json
	run -64 "$(root)/pipelines/name" -m m.msae x.npy
}

@test "audit: a probe for the groups, what differs and what it relies on" {
	seq 500 | awk '{ print $1 % 7 == 0 ? "rare" : $1 % 2 ? "odd" : "even" }' > groups.txt
	run -0 --separate-stderr "$(root)/pipelines/audit" -m m.msae -c n.json -l groups.txt x.npy -- --top 2 --sweeps 1
	[[ $stderr == "" && ${lines[0]} == "probe: a probe of 16 inputs and 3 classes" && $output == *$'\n\nlabel: even ('*"each against all others"* ]]
	[[ $output == *" set in 500 rows, "*"the mean probability that probe gives"* ]]
	run -0 "$(root)/pipelines/audit" -m m.msae -c n.json -l groups.txt -g odd -g even -p kept.probe x.npy -- --sweep zebra=0:2:3
	[[ $output == *"label: even (215 rows) against odd (214 rows)"* && $output == *"zebra (#"*" set in 429 rows"*"that kept.probe gives"* && -s kept.probe ]]
	run -0 "$(root)/pipelines/audit" -m m.msae -l groups.txt -g odd -g even -p kept.probe -u x.npy
	[[ ${lines[0]} == "label: even (215 rows) against odd (214 rows)" ]]
	run -0 "$(root)/pipelines/audit" -m m.msae -l groups.txt -g rare x.npy
	[[ $output == *"label: not rare (429 rows) against rare (71 rows)"* ]]
	run -65 "$(root)/pipelines/audit" -m m.msae -l groups.txt -g rear x.npy
	[[ $output == "audit: groups.txt: no row has the label 'rear'" ]]
	run -65 "$(root)/pipelines/audit" -m m.msae -l <(head -n 9 groups.txt) x.npy
	run -66 "$(root)/pipelines/audit" -m m.msae -l none.txt x.npy
	run -64 "$(root)/pipelines/audit" -m m.msae x.npy
	run -64 "$(root)/pipelines/audit" -m m.msae -l groups.txt
}

@test "explain-row: a row by number or id, what explains it, and rows like it" {
	run -0 --separate-stderr "$(root)/pipelines/explain-row" -m m.msae -c n.json -i ids.txt -k 2 -n 3 photo-18 x.npy
	[[ $stderr == "" && ${lines[0]} == "row 17  photo-18" && ${lines[1]} == "  latent  concept "*explains ]]
	[[ $output == *" of the row"$'\n\nrows with the same concepts\n'*"1   17  1.0000  photo-18"* && ${#lines[@]} == 11 ]]
	by_id=$output
	run -0 "$(root)/pipelines/explain-row" -m m.msae -c n.json -i ids.txt -k 2 -n 3 17 x.npy
	[[ $output == "$by_id" ]]
	run -0 "$(root)/pipelines/explain-row" -m m.msae -n 0 -u 499 x.npy
	[[ ${lines[0]} == "row 499" && $output != *same* ]]
	run -65 "$(root)/pipelines/explain-row" -m m.msae 500 x.npy
	[[ $output == *"fewer rows"* ]]
	run -64 "$(root)/pipelines/explain-row" -m m.msae -i ids.txt photo-501 x.npy
	[[ $output == "explain-row: photo-501: is no number of a row, and no id in ids.txt" ]]
	run -64 "$(root)/pipelines/explain-row" -m m.msae x.npy
}
