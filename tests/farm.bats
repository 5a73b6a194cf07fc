# farm and work: whatever happens to workers, the farm, or the network, the
# bytes that leave are those of the same pipeline without a farm, or none do.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	# 120 frames of a few milliseconds each
	plant-embeddings --rows 3840 --dim 128 --concepts 1536 --seed 9 -b 32 --truth big.msae -o big.raw
	normalize -m big.msae -i big.raw -o big.sae
	sae-encode -m big.msae -k 8 -i big.sae -o big.z
}

# S: a directory for sockets, whose paths must be short.
setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
	S=$(mktemp -d /tmp/msae-farm.XXXXXX)
	mine=()
}

teardown() {
	local p
	for p in "${mine[@]}"; do
		kill -KILL "$p" 2>/dev/null || true
		kill -CONT "$p" 2>/dev/null || true
	done
	rm -rf "$S"
	((problems == 0)) || { echo "$problems wrong"; return 1; }
}

# A port nobody uses now, in $PORT.
port() {
	PORT=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
	while (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do PORT=$((PORT + 1)); done
}

EACH=(sae-encode -m m.msae)
HEAVY=(sae-encode -m big.msae -k 8 -t 1)

# start NAME COMMAND...: in the background, its pid in $pid_NAME, what it says
# in $T/NAME.err. With timeout, since nothing may outlive the test; signals are
# for the command itself, so --foreground is no use here: it execs.
start() {
	local name=$1
	shift
	(ulimit -t 60; exec "$@") 2>>"$T/$name.err" 3>&- &
	mine+=($!)
	printf -v "pid_$name" %s $!
}

# ends NAME CODE...: waits for it, at most 20 s
ends() {
	local name=$1 pid=pid_$1 i
	shift
	for ((i = 0; i < 400; i++)); do
		kill -0 "${!pid}" 2>/dev/null || break
		sleep 0.05
	done
	((i < 400)) || { kill -KILL "${!pid}"; problem "$name does not end"; }
	status=0 last=$name
	wait "${!pid}" || status=$?
	cp "$T/$name.err" "$ERR"
	status_is "$@"
}

# until_says NAME TEXT
until_says() {
	local i
	for ((i = 0; i < 200; i++)); do
		grep -qF -e "$2" "$T/$1.err" 2>/dev/null && return
		sleep 0.05
	done
	problem "$1 does not say \"$2\": $(head -c 400 "$T/$1.err")"
}

# ---- what comes out ----

@test "the bytes are those of the pipeline without a farm" {
	local cmd
	for cmd in "sae-encode -m m.msae" "sae-encode -m m.msae -k 3 --keep" "topk -k 2 --column x"; do
		case=$cmd
		$cmd <x.sae >"$T/plain"
		start farm farm --bind "ipc://$S/a" -i x.sae -o "$T/out"
		start w1 work "ipc://$S/a" --peer-timeout 2 -- $cmd
		start w2 work "ipc://$S/a" --peer-timeout 2 -- $cmd -t 1
		ends farm 0
		ends w1 0 69 # late for so short a run
		ends w2 0 69
		same "$T/out" "$T/plain"
	done
}

@test "in the middle of a pipeline, with a pipeline as the command" {
	read-embeddings raw.npy -b 3 | normalize -m m.msae | sae-encode -m m.msae | topk -k 3 | sae-decode -m m.msae >"$T/plain"
	start w1 work "ipc://$S/a" --peer-timeout 2 -- sh -c 'sae-encode -m m.msae | topk -k 3'
	start w2 work "ipc://$S/a" --peer-timeout 2 -- sh -c 'sae-encode -m m.msae | topk -k 3'
	read-embeddings raw.npy -b 3 | normalize -m m.msae | bounded farm --bind "ipc://$S/a" 2>"$T/said" 3>&- | sae-decode -m m.msae >"$T/out" ||
		problem "status $?: $(cat "$T/said")"
	ends w1 0 69
	ends w2 0 69
	same "$T/out" "$T/plain"
}

@test "between sockets" {
	local ep
	sae-encode -m m.msae <x.sae >"$T/plain"
	start farm farm --bind "ipc://$S/a" -i "@ipc://$S/in" -o "ipc://$S/out"
	start last topk -k 12 --column z --no-prov -i "@ipc://$S/out" -o "$T/out"
	start w1 work "ipc://$S/a" -- sae-encode -m m.msae
	normalize -m m.msae -i raw.sae -o "ipc://$S/in"
	ends farm 0
	ends last 0
	ends w1 0
	topk -k 12 --no-prov <"$T/plain" >"$T/expected"
	same "$T/out" "$T/expected"
}

@test "streams one behind the other, empty ones, frames without rows" {
	plant-embeddings --rows 0 --dim 8 --seed 5 >"$T/none"
	normalize -m m.msae -i "$T/none" >"$T/empty"
	cat x.sae "$T/empty" x.sae "$T/empty" >"$T/in"
	"${EACH[@]}" <"$T/in" >"$T/plain"
	start w1 work "ipc://$S/a" --peer-timeout 2 -- "${EACH[@]}"
	start w2 work "ipc://$S/a" --peer-timeout 2 -- "${EACH[@]}"
	ok farm --bind "ipc://$S/a" -i "$T/in" -o "$T/out"
	same "$T/out" "$T/plain"
	ends w1 0 69
	ends w2 0 69
}

@test "answers of several frames, and what is not known here" {
	need_python
	# more frames than came: what a command writes that takes small ones only
	sae-encode -m m.msae --keep --max-frame 1K -i x.sae -o "$T/plain"
	[[ $(frames --text -i "$T/plain" | grep -c '"kind":"rows"') -gt 3 ]] || problem "not cut at all"
	start w1 work "ipc://$S/a" --max-frame 1K -- sae-encode -m m.msae --keep --max-frame 1K
	ok farm --bind "ipc://$S/a" -i x.sae --max-frame 1K -o "$T/out"
	ends w1 0
	same "$T/out" "$T/plain"
	# a column and a kind of frame that nobody knows
	py "$T" <<'E'
import sys, msgpack
frames = list(msgpack.Unpacker(open("x.sae", "rb"), raw=False))
for f in frames:
    if f["kind"] == "rows":
        f["cols"]["strange"] = {"dtype": "<c16", "shape": [f["n"], 1], "data": bytes(16 * f["n"])}
        f["remark"] = [1, {"two": 3}]
    f.pop("sum", None)
other = {"sae": 1, "kind": "remark", "text": "between"}
with open(sys.argv[1] + "/in", "wb") as out:
    for f in [other] + frames[:2] + [other] + frames[2:] + [other]:
        out.write(msgpack.packb(f))
E
	topk -k 2 --column x -i "$T/in" -o "$T/plain"
	start w2 work "ipc://$S/a" -- topk -k 2 --column x
	ok farm --bind "ipc://$S/a" -i "$T/in" -o "$T/out"
	ends w2 0
	same "$T/out" "$T/plain"
}

@test "a frame larger than workers take is named" {
	start w1 work "ipc://$S/a" --max-frame 8K --peer-timeout 3 -- "${HEAVY[@]}"
	refused 65 farm --bind "ipc://$S/a" -i big.sae
	says "raise --max-frame of work"
	ends w1 69
}

@test "farm and work leave no trace in the head" {
	start w1 work "ipc://$S/a" -- "${EACH[@]}"
	ok farm --bind "ipc://$S/a" -i x.sae -o "$T/out"
	ends w1 0
	! frames --text -i "$T/out" | head -n 1 | grep -q '"program":"\(farm\|work\)"' || problem "there is one"
}

# ---- what is refused ----

@test "command lines that make no sense" {
	refused 64 farm <x.sae
	refused 64 farm --bind tcp://nonsense <x.sae
	refused 64 work
	refused 64 work "ipc://$S/a"
	refused 64 work "@ipc://$S/a" -- topk -k 1
	refused 64 work "ipc://$S/a" --credit 0 -- topk -k 1
	refused 64 work "ipc://$S/a" --credit 17 -- topk -k 1
	refused 77 farm --bind tcp://192.0.2.1:5600 <x.sae
	says --insecure
	refused 77 farm --bind 'tcp://*:5600' <x.sae
	refused 77 work tcp://192.0.2.1:5600 -- topk -k 1
	refused 66 work "ipc://$S/a" -- no-such-program
	mkdir "$S/dir"
	refused 73 farm --bind "ipc://$S/dir" <x.sae
}

@test "nobody comes: 69, both ways" {
	refused 69 farm --bind "ipc://$S/a" --peer-timeout 1 <x.sae
	says "no worker came within 1 s"
	refused 69 work "ipc://$S/a" --peer-timeout 1 -- topk -k 1
	says "no farm came within 1 s"
}

# feed FILE: a farm that reads $T/pipe, into which `>&9` writes
feed() {
	mkfifo "$T/pipe"
	start farm farm --bind "ipc://$S/a" -i "$T/pipe" -o "$T/out" "$@"
	exec 9>"$T/pipe"
}

@test "a farm whose input fails fails, and so do its workers" {
	feed
	start w1 work -v "ipc://$S/a" -- "${EACH[@]}" 9>&-
	until_says w1 "works for the farm"
	head -c -1 x.sae >&9
	exec 9>&-
	ends farm 65
	one_line farm
	ends w1 69
	says "the farm failed: "
	[[ ! -e $T/out ]] || problem "it wrote a file"
}

@test "a worker with another model is refused" {
	plant-embeddings --rows 1 --dim 8 --concepts 12 --seed 6 --truth "$T/other.msae" >"$T/none"
	"${EACH[@]}" <x.sae >"$T/plain"
	feed -v
	start w1 work "ipc://$S/a" -v -- "${EACH[@]}" 9>&-
	head -c 1500 x.sae >&9
	until_says w1 "works for the farm"
	sleep 0.3 # it answers what there is
	start w2 work "ipc://$S/a" -v -- sae-encode -m "$T/other.msae" 9>&-
	until_says w2 "works for the farm"
	tail -c +1501 x.sae >&9
	exec 9>&-
	ends w2 65
	says "refused by the farm: "
	says "another model"
	ends farm 0
	says "refused"
	ends w1 0
	same "$T/out" "$T/plain"
}

@test "a command that reads everything before it answers is found out" {
	start w1 work "ipc://$S/a" --child-timeout 1 -- normalize --fit
	try farm --bind "ipc://$S/a" --peer-timeout 1 -i raw.sae
	status_is 69
	says "no worker came within 1 s" # whether the worker's leaving is told before that is a matter of time
	ends w1 70
	says "took longer than --child-timeout"
}

@test "a command that cannot start is the worker's trouble, not the farm's" {
	start w1 work "ipc://$S/a" -- sae-encode -m no/such/model
	start w2 work "ipc://$S/a" -- sh -c 'exit 127'
	start farm farm --bind "ipc://$S/a" -i x.sae -o "$T/out"
	ends w1 66
	ends w2 66
	start w3 work "ipc://$S/a" -- "${EACH[@]}"
	ends farm 0
	ends w3 0
	"${EACH[@]}" <x.sae >"$T/plain"
	same "$T/out" "$T/plain"
}

# ---- keys ----

@test "msae keygen makes a pair, once" {
	cd "$T"
	ok msae keygen me
	[[ $(ls -l me_secret) == -rw-------* ]] || problem "the secret may be read: $(ls -l me_secret)"
	grep -q secret-key me_secret || problem "no secret in it"
	! grep -q secret me || problem "a secret in the public file"
	cp me_secret before
	refused 73 msae keygen me
	same me_secret before
	refused 64 msae keygen
	refused 73 msae keygen no/such/place
}

@test "with the right keys the bytes are the same, over tcp, for links too" {
	cd "$T"
	W=$BATS_FILE_TMPDIR/world
	port
	msae keygen farm >said
	msae keygen one >said
	msae keygen two >said
	mkdir known
	cp one two known
	cp one czmq_style
	sed -i '1i #   ****  Generated on 2024-01-01 00:00:00 by CZMQ  ****' czmq_style
	"${EACH[@]}" -m "$W/m.msae" <"$W/x.sae" >plain
	start farm farm --bind "tcp://127.0.0.1:$PORT" --keys farm_secret --peers known -i "$W/x.sae" -o out
	start w1 work "tcp://127.0.0.1:$PORT" --keys one_secret --peers farm --peer-timeout 3 -- "${EACH[@]}" -m "$W/m.msae"
	start w2 work "tcp://127.0.0.1:$PORT" --keys two_secret --peers farm --peer-timeout 3 -- "${EACH[@]}" -m "$W/m.msae"
	ends farm 0
	ends w1 0 69
	ends w2 0 69
	same out plain
	start link topk -k 2 -i "@tcp://127.0.0.1:$PORT" -o linked --keys farm_secret --peers czmq_style
	ok "${EACH[@]}" -m "$W/m.msae" -i "$W/x.sae" -o "tcp://127.0.0.1:$PORT" --keys one_secret --peers farm
	ends link 0
	topk -k 2 <plain >expected
	same linked expected
}

@test "certificates of pyzmq, which are those of czmq, and ours for it" {
	need_python
	"$PYTHON" -c 'import zmq.auth' 2>/dev/null || skip "pyzmq is not installed"
	cd "$T"
	port
	msae keygen ours >said
	"$PYTHON" -c 'import zmq.auth; zmq.auth.create_certificates(".", "theirs"); print(*zmq.auth.load_certificate("ours_secret"))' >read
	grep -qF "$(sed -n 's/.*secret-key = "\(.*\)"/\1/p' ours_secret | head -c 8)" read || problem "pyzmq reads $(cat read)"
	chmod 600 theirs.key_secret
	start link topk -k 2 -i "@tcp://127.0.0.1:$PORT" -o linked --keys ours_secret --peers theirs.key
	ok "${EACH[@]}" -m "$BATS_FILE_TMPDIR/world/m.msae" -i "$BATS_FILE_TMPDIR/world/x.sae" -o "tcp://127.0.0.1:$PORT" --keys theirs.key_secret --peers ours
	ends link 0
	"${EACH[@]}" -m "$BATS_FILE_TMPDIR/world/m.msae" <"$BATS_FILE_TMPDIR/world/x.sae" | topk -k 2 >expected
	same linked expected
}

@test "wrong keys, no keys, and secrets that others can read" {
	cd "$T"
	W=$BATS_FILE_TMPDIR/world
	port
	for name in farm one two stranger; do msae keygen $name >said; done
	mkdir known
	cp one known
	W=$BATS_FILE_TMPDIR/world
	mkfifo pipe
	start farm farm -v --bind "tcp://127.0.0.1:$PORT" --keys farm_secret --peers known -i pipe -o out
	exec 9>pipe
	local at="tcp://127.0.0.1:$PORT" cmd=(topk -k 2 --column x)
	# not on the list: told so
	refused 77 work "$at" --keys two_secret --peers farm --peer-timeout 3 -- "${cmd[@]}"
	says "our key is refused"
	refused 77 topk -k 1 -i "$at" --keys two_secret --peers farm --peer-timeout 3
	# no key, or another farm expected: nothing comes of it
	refused 69 work "$at" --peer-timeout 1 -- "${cmd[@]}"
	refused 69 work "$at" --keys one_secret --peers stranger --peer-timeout 1 -- "${cmd[@]}"
	until_says farm "a worker was refused"
	! grep -q "came" farm.err || problem "one of them was let in"
	# none of it did harm
	cat "$W/x.sae" >&9
	exec 9>&-
	start w1 work "$at" --keys one_secret --peers farm -- "${cmd[@]}"
	ends farm 0
	ends w1 0
	"${cmd[@]}" <"$W/x.sae" >plain
	same out plain
	chmod 640 one_secret
	refused 77 work "$at" --keys one_secret --peers farm -- "${cmd[@]}"
	says "others may read this secret"
	refused 65 work "$at" --keys one --peers farm -- "${cmd[@]}"
	refused 66 work "$at" --keys nothing --peers farm -- "${cmd[@]}"
	refused 64 work "$at" --peers farm -- "${cmd[@]}"
	refused 66 work "$at" --keys two_secret --peers nothing -- "${cmd[@]}"
	refused 77 work "$at" --keys two_secret --peers . -- "${cmd[@]}" # which of them?
	says "--peers FILE"
	mkdir empty
	refused 77 farm --bind "$at" --keys two_secret --peers empty -i "$W/x.sae"
	says "nobody could come in"
	sed 's/public-key = "...../public-key = "00000/' two_secret >mixed
	chmod 600 mixed
	refused 65 work "$at" --keys mixed --peers farm -- "${cmd[@]}"
}

# ---- guests that are no workers ----

@test "those who say nothing, nonsense, too much, or are a thousand" {
	need_python
	local secured
	port
	(cd "$T" && msae keygen farm && msae keygen one && mkdir known && cp one known) >/dev/null
	for secured in "" "--keys $T/farm_secret --peers $T/known"; do
		case="farm $secured"
		rm -f "$T/pipe" "$T/farm.err"
		mkfifo "$T/pipe"
		start farm farm --bind "tcp://127.0.0.1:$PORT" $secured -i "$T/pipe" -o "$T/out"
		exec 9>"$T/pipe"
		start guests "$PYTHON" "$TESTS/guests.py" "$PORT" 9>&-
		until_says guests "all there"
		[[ -z $secured ]] || secured="--keys $T/one_secret --peers $T/farm"
		start w1 work "tcp://127.0.0.1:$PORT" $secured -- "${EACH[@]}" 9>&-
		cat x.sae >&9
		exec 9>&-
		ends farm 0
		ends w1 0
		"${EACH[@]}" <x.sae >"$T/plain"
		same "$T/out" "$T/plain"
		kill "$pid_guests" && wait "$pid_guests" || true
		rm -f "$T/guests.err" "$T/w1.err"
	done
}

# ---- being watched ----

@test "--status and --progress tell of workers" {
	need_python
	start w1 work "ipc://$S/a" --name left --status "$T/w1" -- $(odd slow 20)
	start w2 work "ipc://$S/a" --name right -- $(odd slow 20)
	if command -v script >/dev/null; then
		bounded script -qec "farm --bind ipc://$S/a -i big.sae -o $T/out --status $T/farm --progress" /dev/null >"$T/tty" </dev/null || problem "status $?"
		grep -qE 'left .* frames .* in hand .* ms a frame' "$T/tty" || problem "no line for a worker: $(cat "$T/tty")"
		grep -qE '[0-9]+ rows out, .* 2 workers' "$T/tty" || problem "no line for all"
	else
		ok farm --bind "ipc://$S/a" -i big.sae -o "$T/out" --status "$T/farm"
	fi
	ends w1 0
	ends w2 0
	same "$T/out" big.sae
	grep -qx 'msae_farm_dealt_total{program="farm"} 1[2-9][0-9]' "$T/farm" || problem "$(cat "$T/farm")"
	grep -qE '^msae_work_frames_total\{program="work"\} [1-9]' "$T/w1" || problem "$(cat "$T/w1")"
	[[ $(grep -c '^# TYPE' "$T/farm") == $(grep '^# TYPE' "$T/farm" | sort -u | wc -l) ]] || problem "a TYPE twice"
}

@test "a supervisor is told, and its watchdog only while work goes on" {
	need_python
	cat >"$T/listen.py" <<'P'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(0.2)
said, until = [], time.time() + float(sys.argv[2])
open(sys.argv[1] + ".there", "w")
while time.time() < until:
    try:
        said.append(s.recv(100).decode())
    except TimeoutError:
        pass
print(said[0], said.count("WATCHDOG=1"))
P
	local deed
	for deed in "slow 100" "hang 5"; do
		rm -f "$S/notify"*
		"$PYTHON" "$T/listen.py" "$S/notify" 3 >"$T/said" 3>&- &
		until [[ -e $S/notify.there ]]; do sleep 0.05; done
		start farm farm --bind "ipc://$S/a" -i big.sae -o "$T/out"
		NOTIFY_SOCKET=$S/notify WATCHDOG_USEC=400000 start w1 work "ipc://$S/a" -- $(odd $deed)
		sleep 3.3
		case="$deed: $(cat "$T/said")"
		[[ $(cat "$T/said") == "READY=1 "* ]] || problem "not told that it is ready"
		if [[ $deed == hang* ]]; then
			(($(cut -d' ' -f2 "$T/said") <= 3)) || problem "the watchdog is fed though nothing goes on"
		else
			(($(cut -d' ' -f2 "$T/said") >= 5)) || problem "the watchdog is not fed"
		fi
		kill -KILL "$pid_w1" "$pid_farm"
		wait "$pid_w1" "$pid_farm" 2>/dev/null || true
	done
}

# ---- faults ----

# odd DEED [ARGS]: a command that passes frames on, and does that deed
odd() { echo "$PYTHON" "$TESTS/odd.py" "$@"; }

@test "a child that dies, hangs, or writes nonsense is started again" {
	need_python
	local deed
	for deed in crash hang garbage flood torn loud; do
		case=$deed
		start w1 work "ipc://$S/$deed" --child-timeout 1 -- $(odd $deed 20 "$T/$deed")
		ok farm --bind "ipc://$S/$deed" -i x.sae -o "$T/out"
		same "$T/out" x.sae
		ends w1 0
		says "starting it again"
		[[ -e $T/$deed ]] || problem "nothing happened"
	done
}

@test "a frame that nobody can do stops the run, and is named" {
	need_python
	local deed n
	for deed in crash garbage loud; do
		for n in 1 4; do
			case="$deed, $n workers"
			for ((i = 0; i < n; i++)); do
				start w$i work "ipc://$S/$deed$n" --peer-timeout 5 -- $(odd $deed 20)
			done
			refused 65 farm --bind "ipc://$S/$deed$n" -i x.sae -o "$T/out"
			says "frame 1 (rows 16-31): workers failed on it"
			[[ $deed != loud ]] || says "does not like this frame"
			[[ ! -e $T/out ]] || problem "it wrote a file"
			for ((i = 0; i < n; i++)); do
				ends w$i 65 69 70
			done
		done
	done
}

@test "a slow worker and a hung child do not hold the others up" {
	need_python
	start slow work "ipc://$S/a" --credit 4 -- $(odd slow 2500)
	start hung work "ipc://$S/a" --child-timeout 0 -- $(odd hang 5)
	start quick work "ipc://$S/a" --peer-timeout 5 -- $(odd pass)
	ok farm --bind "ipc://$S/a" -i x.sae -o "$T/out"
	same "$T/out" x.sae
	ends quick 0 69
}

@test "SIGTERM: a worker finishes what it has and leaves" {
	need_python
	feed -v
	start w1 work -v "ipc://$S/a" -- $(odd slow 300) 9>&-
	until_says w1 "works for the farm"
	cat x.sae >&9
	exec 9>&-
	sleep 0.5
	kill -TERM "$pid_w1"
	start w2 work "ipc://$S/a" -- $(odd pass)
	ends w1 0
	ends farm 0
	says "finishes what it has"
	ends w2 0
	same "$T/out" x.sae
}

@test "SIGTERM: a farm stops with 143, with a journal 75, and goes on" {
	need_python
	local keep code
	for keep in "" "--resume $T/journal"; do
		case="farm $keep"
		rm -f "$T/pipe"
		feed $keep
		start w1 work "ipc://$S/a" -v --peer-timeout 6 -- $(odd slow 100) 9>&-
		until_says w1 "works for the farm"
		head -c $(($(wc -c <x.sae) - 40)) x.sae >&9
		sleep 0.3
		kill -TERM "$pid_farm"
		if [[ $keep ]]; then code=75; else code=143; fi
		ends farm $code
		exec 9>&-
		says "stopped: by a signal"
		[[ ! -e $T/out ]] || problem "it wrote a file"
		if [[ $keep ]]; then
			says "--resume $T/journal"
			ok farm --bind "ipc://$S/a" -i x.sae -o "$T/out" $keep
			same "$T/out" x.sae
			ends w1 0 69 # the journal may have had all
			# and now that it has everything, nobody is needed
			ok farm --bind "ipc://$S/a" -i x.sae -o "$T/out2" $keep
			same "$T/out2" x.sae
			refused 65 farm --bind "ipc://$S/a" -i raw.sae $keep
			says "is of another input"
		else
			ends w1 69
		fi
		rm -f "$T/w1.err" "$T/farm.err"
	done
	cp x.sae "$T/precious"
	refused 65 farm --bind "ipc://$S/a" -i x.sae --resume "$T/precious"
	says "no farm's journal"
	same "$T/precious" x.sae
}

@test "a journal that is torn anywhere is cut there" {
	local n size
	start w1 work "ipc://$S/a" -- "${EACH[@]}"
	ok farm --bind "ipc://$S/a" -i x.sae -o "$T/plain" --resume "$T/whole"
	ends w1 0
	size=$(wc -c <"$T/whole")
	for n in 0 1 10 25 30 200 $((size / 2)) $((size - 30)) $((size - 1)); do
		case="cut at $n of $size"
		head -c "$n" "$T/whole" >"$T/journal"
		start w1 work "ipc://$S/a" --peer-timeout 1 -- "${EACH[@]}"
		ok farm --bind "ipc://$S/a" -i x.sae -o "$T/out" --resume "$T/journal"
		ends w1 0 69 # not needed where all was there
		same "$T/out" "$T/plain"
		same "$T/journal" "$T/whole"
	done
}

@test "three hosts, a cable cut and mended, another cut for good" {
	need_python
	local way
	for way in -n -Urn none; do
		[[ $way == none ]] || ! unshare $way ip link add probe type veth peer name probe2 2>/dev/null || break
	done
	command -v ip >/dev/null && [[ $way != none ]] || skip "no right to make network namespaces"
	LIMIT=70 try unshare $way "$TESTS/hosts" big.sae "$T/out" $(odd slow 130)
	status_is 0
	says "what it had is dealt again"
	same "$T/out" big.sae
}

# rnd N: 0..N-1, the same for the same seed
rnd() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	drawn=$(((seed >> 12) % $1))
}

hire() {
	nhired=$((nhired + 1))
	start "h$nhired" work "ipc://$S/$1" --peer-timeout 9 --credit $((1 + nhired % 4)) -- "${HEAVY[@]}"
	local p=pid_h$nhired
	staff+=("${!p}")
}

# What happens to a worker, by the throw of a die. The first hired is spared
# what nobody comes back from, so that every schedule ends.
mishap() {
	local w p
	rnd ${#staff[@]}
	w=$drawn p=${staff[$drawn]}
	rnd 7
	case $drawn in
	0) ((w)) && kill -KILL "$p" ;;
	1) ((w)) && kill -STOP "$p" ;;
	2) kill -STOP "$p" && sleep 0.2 && kill -CONT "$p" ;;
	3) ((w)) && kill -TERM "$p" ;;
	4) for p in $(cat "/proc/$p/task/$p/children"); do kill -KILL "$p"; done ;;
	*) ((${#staff[@]} > 6)) || hire "$1" ;;
	esac
} 2>/dev/null

# schedule SEED [resume]: one run with mishaps every few hundredths of a second.
schedule() {
	local turn begun=$SECONDS p farms=1
	seed=$1 staff=() nhired=0 case="seed $1"
	rm -f "$T/out" "$T/journal" "$T"/*.err
	[[ -z ${2:-} ]] || local keep=(--resume "$T/journal")
	start farm farm --bind "ipc://$S/$1" -i big.sae -o "$T/out" "${keep[@]}"
	hire "$1"
	hire "$1"
	for ((turn = 0; SECONDS - begun < 25; turn++)); do
		kill -0 "$pid_farm" 2>/dev/null || break
		rnd 90
		sleep "0.0$((10 + drawn))"
		mishap "$1" || true
		rnd 6
		if [[ -n ${2:-} ]] && ((drawn == 0 && farms < 4)); then
			rnd 3
			if ((drawn)); then kill -KILL "$pid_farm"; else kill -TERM "$pid_farm"; fi 2>/dev/null || true
			wait "$pid_farm" 2>/dev/null || true
			[[ ! -e $T/out ]] || break # it was done
			start farm farm --bind "ipc://$S/$1" -i big.sae -o "$T/out" "${keep[@]}"
			farms=$((farms + 1))
		fi
	done
	if [[ ! -e $T/out ]]; then
		ends farm 0
	fi
	for p in "${staff[@]}"; do
		kill -KILL "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	same "$T/out" big.z
	((problems == 0)) || cat "$T/farm.err"
}

schedules() {
	local i
	for ((i = $1; i < $1 + $2; i++)); do
		schedule "$i" "${3:-}"
	done
}

@test "workers killed, frozen, late, leaving, crashing: seeds 1 to 10" { schedules 1 10; }
@test "workers killed, frozen, late, leaving, crashing: seeds 11 to 20" { schedules 11 10; }
@test "workers killed, frozen, late, leaving, crashing: seeds 21 to 30" { schedules 21 10; }
@test "workers killed, frozen, late, leaving, crashing: seeds 31 to 40" { schedules 31 10; }
@test "and the farm killed or stopped, gone on with: seeds 41 to 50" { schedules 41 10 resume; }
@test "and the farm killed or stopped, gone on with: seeds 51 to 60" { schedules 51 10 resume; }
