# examples/cluster: under each engine that is installed, the parts hold the rows
# of one pass; what is there is not made again; bad input is not tried for ever.
load helper

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	plant-embeddings --rows 600 --dim 16 --concepts 48 --active 2 --truth m.msae | write-embeddings x.npy
	head -c 5000 x.npy > short.npy
	for i in 0 1 2; do
		read-embeddings x.npy --shard $i/3 | normalize -m m.msae | sae-encode -t 1 -m m.msae -k 32 -o part-$i
		write-embeddings --column z -i part-$i part-$i.npy
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	W=$BATS_FILE_TMPDIR
	EXAMPLES=$BATS_TEST_DIRNAME/../examples/cluster
}
teardown() { :; }

needs() {
	local p
	for p in "$@"; do
		command -v "$p" >/dev/null || skip "$p is not installed"
	done
}

# rows FILE I: it holds the codes of shard I
rows() {
	write-embeddings --column z -i "$1" got.npy
	cmp got.npy "$W/part-$2.npy"
}

@test "gnu-parallel" {
	needs parallel
	local i
	run -0 "$EXAMPLES/gnu-parallel" "$W/m.msae" 3 out "$W/x.npy"
	[[ $output == *"whole: 3 streams, "*" 600 rows, "* ]]
	for i in 0 1 2; do rows out/part-$i-of-3.sae $i; done
	rm out/part-1-of-3.sae
	touch -d 2001-01-01 out/part-0-of-3.sae
	run -0 "$EXAMPLES/gnu-parallel" "$W/m.msae" 3 out "$W/x.npy"
	rows out/part-1-of-3.sae 1
	[[ $(date -r out/part-0-of-3.sae +%Y) == 2001 ]]
	# another number of parts takes nothing from these
	run -0 "$EXAMPLES/gnu-parallel" "$W/m.msae" 2 out "$W/x.npy"
	[[ $output == *"whole: 2 streams, "*" 600 rows, "* ]]
	run -65 "$EXAMPLES/gnu-parallel" "$W/m.msae" 2 bad "$W/short.npy"
	[[ $output == *truncated* && -z $(ls bad | grep sae) ]]
}

@test "array.slurm: its tasks, run by hand" {
	local i
	for i in 2 0 1; do
		SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=3 "$EXAMPLES/array.slurm" "$W/m.msae" out "$W/x.npy"
	done
	for i in 0 1 2; do rows out/part-$i-of-3.sae $i; done
	# one of them alone
	rm out/part-2-of-3.sae
	PARTS=3 SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=1 "$EXAMPLES/array.slurm" "$W/m.msae" out "$W/x.npy"
	rows out/part-2-of-3.sae 2
	SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=1 run -64 "$EXAMPLES/array.slurm" "$W/m.msae" out "$W/x.npy"
	[[ $output == *"PARTS=N"* ]]
}

# What runs on the one host: three tasks, one of them alone, one with bad input.
slurm_jobs() {
	local job=(sbatch -Q --wait --cpus-per-task=1 --mem=100M --output=task-%a.out)
	"${job[@]}" --array=0-2 "$EXAMPLES/array.slurm" "$W/m.msae" out "$W/x.npy"
	rm out/part-1-of-3.sae
	PARTS=3 "${job[@]}" --array=1 "$EXAMPLES/array.slurm" "$W/m.msae" out "$W/x.npy"
	local code=0
	"${job[@]}" --array=0-1 "$EXAMPLES/array.slurm" "$W/m.msae" bad "$W/short.npy" || code=$?
	echo "bad input: $code"
}

@test "array.slurm, under slurmctld and slurmd" {
	needs munged slurmctld slurmd sbatch sinfo
	local port=$((20000 + RANDOM % 12000)) dir i
	dir=$(mktemp -d /tmp/msae-slurm.XXXXXX)
	export -f slurm_jobs
	export W EXAMPLES
	run timeout -k 5 120 "$BATS_TEST_DIRNAME/slurm" "$dir" $port bash -euc slurm_jobs 3>&-
	rm -rf "$dir"
	((status != 99)) || skip "Slurm does not start here: ${output: -200}"
	[[ $status == 0 && $output == "bad input: 65" ]] || { echo "$status: $output"; cat task-*.out; false; }
	for i in 0 1 2; do rows out/part-$i-of-3.sae $i; done
	[[ $(cat task-0.out) == *truncated* && -z $(ls bad) ]]
}

@test "Snakefile" {
	needs snakemake
	local make=(timeout -k 5 120 snakemake -s "$EXAMPLES/Snakefile" -j 2 --nolock --config "data=$W/x.npy")
	local i
	export HOME=$PWD XDG_CACHE_HOME=$PWD/cache # what it keeps for itself
	cp "$W/m.msae" "a model.msae"
	run -0 "${make[@]}" "model=a model.msae" parts=3 3>&-
	for i in 0 1 2; do rows out/part-$i.sae $i; done
	grep -q '<html' out/report.html
	rm out/part-1.sae out/report.html
	run -0 "${make[@]}" "model=a model.msae" parts=3 3>&-
	[[ $output == *"out/part-1.sae"* && $output != *"output: out/part-0.sae"* ]]
	run -0 "${make[@]}" "model=a model.msae" parts=2 3>&- # other rows in each
	run -0 frames --check -i out/part-0.sae
	[[ $output == *" 300 rows,"* ]]
	run -1 timeout -k 5 120 snakemake -s "$EXAMPLES/Snakefile" -j 2 --config "data=$W/short.npy" "model=a model.msae" parts=5 3>&-
	[[ $output == *truncated* && ! -e out/part-4.sae ]]
}

@test "job.yaml: its command, and what Kubernetes' own types make of it" {
	local i
	mkdir -p data/in
	cp "$W/x.npy" data/in
	cp "$W/m.msae" data/clip.msae
	sed -n '/^ *- |$/,/^ *resources:/p' "$EXAMPLES/job.yaml" | sed '1d; $d' | sed "s|/data|$PWD/data|g; s|64|3|g" > task
	for i in 0 1 2; do
		JOB_COMPLETION_INDEX=$i bash -c "$(cat task)"
		rows data/out/part-$i-of-3.sae $i
	done
	needs kubectl
	# what is no field of a Job would be lost on the way
	run -0 kubectl set image --local -f "$EXAMPLES/job.yaml" encode=other -o yaml
	for i in podFailurePolicy onExitCodes onPodConditions completionMode backoffLimit terminationGracePeriodSeconds persistentVolumeClaim mountPath; do
		[[ $output == *"$i:"* ]] || { echo "no $i: $output"; false; }
	done
}

@test "units of systemd" {
	needs systemd-analyze
	local unit
	for unit in work farm; do
		run systemd-analyze verify "$EXAMPLES/$unit.service"
		[[ -z $(grep -v 'is not executable' <<<"$output") ]] || { echo "$output"; false; }
	done
}
