# read-embeddings: files as numpy writes them, and files that lie.

load helper

setup_file() {
	pick_python
}

setup() {
	cd "$BATS_TEST_TMPDIR"
}

# rows FILE... : what read-embeddings makes of them, as raw float32 in ./got
# (write-embeddings has a header of 128 bytes for these shapes).
rows() {
	ok read-embeddings "$@" -o read.sae
	ok write-embeddings -i read.sae got.npy
	tail -c +129 got.npy >got
}

# Each file beside what is to be read from it, as raw float32 in NAME.want.
compare_all() {
	local n=0
	for case in "$@"; do
		rows "$case" ${options:-}
		same got "$case.want"
		n=$((n + 1))
	done
	case=
	[[ $n -ge ${at_least:-1} ]] || problem "only $n files"
}

# numbers FILE ROWS COLS [FIRST]: FIRST, FIRST+1 ... as .npy, without Python.
numbers() {
	local text="" i n=$(($2 * $3))
	for ((i = 0; i < n; i++)); do
		text+="$((${4:-0} + i)),"
	done
	{
		echo '{"sae":1,"kind":"head","stream":"t","cols":{}}'
		echo "{\"sae\":1,\"kind\":\"rows\",\"seq\":0,\"row\":0,\"n\":$2,\"cols\":{\"x\":{\"dtype\":\"<f4\",\"shape\":[$2,$3],\"data\":[${text%,}]}}}"
		echo "{\"sae\":1,\"kind\":\"end\",\"frames\":1,\"rows\":$2}"
	} | frames --pack | write-embeddings "$1"
}

@test "every dtype, order, byte order and version" {
	need_python
	py <<-'E'
		import itertools
		from numpy.lib import format
		from sae import *
		r = np.random.default_rng(1)
		for kind, byteorder, order, version in itertools.product("f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split(), "<>", "CF", [(1, 0), (2, 0), (3, 0)]):
		    a = r.normal(size=(37, 19)) * 40
		    a[0, :4] = 0, -0.0, 1e-7, -1
		    if kind[0] in "ub":
		        a = abs(a)
		    a = np.asarray(a > 20 if kind == "b1" else a, byteorder + kind, order=order)
		    name = f"{kind}{'big' if byteorder == '>' else 'little'}{order}{version[0]}.npy"
		    with open(name, "wb") as f:
		        format.write_array(f, a, version=version)
		    with open(name + ".want", "wb") as f:
		        f.write(a.astype("<f4").tobytes())
	E
	options="-b 5" at_least=144 compare_all *.npy
}

@test "half precision widens exactly, all of it; double rounds to nearest" {
	need_python
	py <<-'E'
		from sae import *
		h = np.arange(65536, dtype="<u2").view("<f2")
		h = h[np.isfinite(h)].reshape(-1, 4)
		d = np.concatenate([np.nextafter(np.float64(np.float32(x)), [-9, 9]) for x in np.random.default_rng(0).normal(size=500)]).reshape(-1, 4)
		d = np.concatenate([d, [[1e-45, 1e-40, 3.4e38, 1 + 2**-24]]])
		for name, a in ("half.npy", h), ("double.npy", d):
		    np.save(name, a)
		    open(name + ".want", "wb").write(a.astype("<f4").tobytes())
	E
	compare_all half.npy double.npy
}

@test "shapes: one dimension is one row; one column; no rows" {
	need_python
	py <<-'E'
		from sae import *
		for name, a in {"flat": np.arange(5.0), "column": np.arange(5.0)[:, None], "none": np.zeros((0, 3)), "one": np.ones((1, 1)),
		                "fcolumn": np.asfortranarray(np.arange(6.0)[:, None]), "wide": np.ones((2, 5000), "f2"), "fwide": np.asfortranarray(np.arange(34.0).reshape(2, 17))}.items():
		    np.save(name + ".npy", a)
		    open(name + ".npy.want", "wb").write(a.astype("<f4").tobytes())
	E
	compare_all *.npy
	read-embeddings flat.npy | frames | grep -q '"n":1,' || problem "not one row"
}

@test "headers of other hands: double quotes, long numbers, no spaces, no padding" {
	header() { # FILE TEXT
		{ printf '\x93NUMPY\x01\x00'; printf "\\x$(printf %02x $((${#2} & 255)))\\x$(printf %02x $((${#2} >> 8)))"; printf '%s' "$2"; printf '\x00\x00\x80\x3f\x00\x00\x00\x40'; } >"$1"
		printf '\x00\x00\x80\x3f\x00\x00\x00\x40' >"$1.want"
	}
	header a.npy '{"descr":"<f4","fortran_order":False,"shape":(1,2)}'
	header b.npy "{'shape':(1L,2L,),'fortran_order':False,'descr':'<f4',}"
	header c.npy "  { 'descr' : '<f4' , 'fortran_order' : True , 'shape' : ( 2 , 1 ) , }      "
	header d.npy "{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}"$'\n'
	header e.npy "{'descr': '=f4', 'fortran_order': False, 'shape': (2, 1)}"
	compare_all ?.npy
}

@test "files without a header: by name, by --dim and --dtype" {
	numbers all.npy 6 4
	tail -c +129 all.npy >vectors_6_4.npy
	cp vectors_6_4.npy vectors_6_4.npy.want
	cp vectors_6_4.npy vectors.raw
	cp vectors_6_4.npy vectors.raw.want
	compare_all vectors_6_4.npy
	options="--dim 4" compare_all vectors_6_4.npy vectors.raw
	ok read-embeddings vectors.raw --dim 3 -o out
	whole out 8
	ok read-embeddings vectors.raw --dim 4 --dtype f8 -o out
	whole out 3
	ok read-embeddings vectors.raw --dim 4 --dtype u1 -o out
	whole out 24
	cp vectors.raw vectors_5_4.npy
	refused 65 read-embeddings vectors_5_4.npy
	says "vectors_5_4.npy: "
	says "5 rows of 4"
	refused 65 read-embeddings vectors.raw --dim 5
	says "vectors.raw: "
	refused 65 read-embeddings vectors.raw
	says "of no known format"
	refused 65 read-embeddings all.npy --dim 5
	says "4 columns"
	refused 64 read-embeddings vectors.raw --dim 4 --dtype f5
	says "bfloat16"
}

@test "bfloat16, raw and as numpy's V2" {
	need_python
	py <<-'E'
		from sae import *
		a = np.random.default_rng(3).normal(size=(7, 4)).astype("<f4")
		top = (a.view("<u4") >> 16).astype("<u2")
		top.tofile("b.raw")
		np.save("b.npy", top.view("V2"))
		for f in "b.raw.want", "b.npy.want":
		    (top.astype("<u4") << 16).view("<f4").tofile(f)
	E
	options="--dtype bfloat16 --dim 4" compare_all b.raw b.npy
	refused 65 read-embeddings b.npy
	says "--dtype bfloat16"
}

@test "several files are one stream, in natural order of their names" {
	mkdir d e
	numbers d/part1.npy 3 2 0
	numbers d/part2.npy 1 2 6
	numbers d/part10.npy 4 2 8
	numbers d/part11.npy 2 2 16
	numbers e/all.npy 10 2
	rows e/all.npy
	cp got want
	for b in 1 2 3 100; do
		case="-b $b"
		rows d/*.npy -b $b
		same got want
		rows d/part11.npy d/part2.npy d/part10.npy d/part1.npy -b $b
		same got want
	done
	case=
	rows --as-given d/part2.npy d/part1.npy
	numbers want2 1 2 6
	numbers want3 3 2 0
	{ tail -c +129 want2; tail -c +129 want3; } >want
	same got want
}

@test "files equal numpy's concatenation" {
	need_python
	py <<-'E'
		from sae import *
		r = np.random.default_rng(2)
		parts = [r.normal(size=(n, 33)) for n in (0, 5, 300, 1, 64)]
		types = ["<f4", ">f8", "<f2", "<f4", ">f4"]
		for i, (a, t) in enumerate(zip(parts, types)):
		    parts[i] = np.asarray(a, t, order="CF"[i % 2])
		    np.save(f"p{i}.npy", parts[i])
		np.concatenate([p.astype("<f4") for p in parts]).tofile("want")
	E
	for b in 1 7 512; do
		case="-b $b"
		rows p?.npy -b $b
		same got want
	done
}

# Shards: every row exactly once, under the number it has in the whole.
@test "--shard I/N covers all rows once, with their numbers" {
	numbers a.npy 11 2 0
	numbers b.npy 1 2 22
	numbers c.npy 6 2 24
	seq 1 18 >ids
	rows a.npy b.npy c.npy
	cp got want
	for n in 1 3 7 20; do
		: >all
		at=0
		for ((i = 0; i < n; i++)); do
			case="--shard $i/$n"
			rows a.npy b.npy c.npy --shard $i/$n -b 2 --ids ids
			cat got >>all
			row=$(frames -i read.sae | grep -o '"row":[0-9]*' | head -n 1)
			[[ -z $row || $row == '"row":'$at ]] || problem "begins with $row, not $at"
			size=$(($(wc -c <got) / 8))
			[[ $size -ge $((18 / n)) && $size -le $((18 / n + 1)) ]] || problem "has $size rows"
			first=$(frames --text --rows -i read.sae | grep -o '"str","shape":\[[0-9]*\],"data":\["[0-9]*"' | head -n 1)
			[[ -z $first || $first == *"[\"$((at + 1))\"" ]] || problem "ids begin with $first"
			at=$((at + size))
		done
		same all want
	done
	case="--shard with --skip and --limit"
	: >all
	for i in 0 1 2; do
		rows a.npy b.npy c.npy --skip 2 --limit 10 --shard $i/3
		cat got >>all
	done
	head -c 96 want | tail -c 80 >part
	same all part
	for case in 3/3 -1/3 1 1/ /3 a/b 1/3x 1/0 0/-3 1/3/5; do
		refused 64 read-embeddings a.npy --shard "$case"
		says "--shard"
	done
}

@test "--skip and --limit" {
	numbers a.npy 5 2 0
	numbers b.npy 5 2 10
	rows a.npy b.npy
	cp got want
	while read -r skip limit from n; do
		case="--skip $skip --limit $limit"
		rows a.npy b.npy --skip $skip --limit $limit
		tail -c +$((from * 8 + 1)) want | head -c $((n * 8)) >part
		same got part
		whole read.sae $n
		[[ $n == 0 ]] || frames -i read.sae | grep -q "\"seq\":0,\"row\":$from," || problem "is not numbered from $from"
	done <<-'E'
		0 100 0 10
		3 4 3 4
		5 5 5 5
		9 1 9 1
		10 5 10 0
		99 5 10 0
		0 0 0 0
		4 99 4 6
	E
}

@test "ids and labels go with their rows" {
	numbers a.npy 3 2 0
	numbers b.npy 2 2 6
	printf '%s\n' 'a b.jpg' 'ünï' '' "quo\"te'" 'last' >ids
	printf 'cat\r\ndog\r\n\r\ncat\r\nbird' >labels
	ok read-embeddings a.npy b.npy --ids ids --labels labels -b 2 -o out
	frames --text --rows -i out | grep -o '"str","shape":\[[0-9]\],"data":\[[^]]*\]' >got
	cat >want <<-'E'
		"str","shape":[2],"data":["a b.jpg","ünï"]
		"str","shape":[2],"data":["cat","dog"]
		"str","shape":[2],"data":["","quo\"te'"]
		"str","shape":[2],"data":["","cat"]
		"str","shape":[1],"data":["last"]
		"str","shape":[1],"data":["bird"]
	E
	same got want
	frames -i out | head -n 1 | grep -q '"id":{"dtype":"str","shape":\[\]},"label":{"dtype":"str","shape":\[\]}' || problem "head does not declare them"
	ok read-embeddings a.npy b.npy --ids ids --skip 3 --limit 1 -o out
	frames --text --rows -i out | grep -qF '"data":["quo\"te'"'"'"]' || problem "--skip lost its ids"
	bounded read-embeddings a.npy b.npy --ids <(cat ids) -o out2 || problem "ids from a pipe"
	whole out2 5
}

@test "wrong numbers of ids and labels are refused before anything is written" {
	numbers a.npy 3 2
	printf 'a\nb\n' >two
	printf 'a\nb\nc\nd\n' >four
	: >none
	printf 'a\nb\xff\nc\n' >latin1
	printf 'a\nb\0c\nd\n' >nul
	for case in two four none; do
		for option in --ids --labels; do
			refused 65 read-embeddings a.npy $option $case -o out
			says "$case: $(wc -l <$case) lines"
			says "3 rows"
		done
	done
	for case in latin1 nul; do
		refused 65 read-embeddings a.npy --ids $case -o out
		says "$case: line 2: "
	done
	case=
	status=0 last="ids from a short pipe"
	bounded read-embeddings a.npy --ids <(cat two) -o out 2>"$ERR" || status=$?
	status_is 65
	[[ ! -e out ]] || problem "an output appeared"
}

@test "rows with NaN: named and refused, or left out" {
	need_python
	py <<-'E'
		from sae import *
		a = np.arange(40, dtype="<f4").reshape(20, 2)
		a[7, 1], a[12, 0], a[19, 1] = np.nan, np.inf, -np.inf
		np.save("a.npy", a[:10])
		np.save("b.npy", a[10:])
		good = np.isfinite(a).all(1)
		a[good].tofile("want")
		open("ids", "w").writelines(f"{i}\n" for i in range(20))
		open("want.ids", "w").writelines(f"{i}\n" for i in np.flatnonzero(good))
	E
	refused 65 read-embeddings a.npy b.npy -o out
	says "a.npy: row 7 "
	says "--nan=skip"
	[[ ! -e out ]] || problem "an output appeared"
	refused 65 read-embeddings a.npy b.npy --skip 8 -o out
	says "b.npy: row 2 "
	ok read-embeddings a.npy b.npy --skip 8 --limit 4 --nan fail
	for b in 1 3 100; do
		case="-b $b"
		rows a.npy b.npy --nan skip --ids ids -b $b
		same got want
		try read-embeddings a.npy b.npy --nan skip --ids ids -b $b
		says "left out 3 rows"
		says "a.npy: row 7"
		frames --text --rows <"$OUT" | grep -o '"data":\["[^]]*' | grep -oE '"[0-9]+"' | tr -d '"' >got.ids
		same got.ids want.ids
	done
	ok read-embeddings a.npy b.npy --nan skip -q
	silent
	refused 64 read-embeddings a.npy --nan maybe
}

@test "files that lie or are something else: one line with the name, 65, no output" {
	numbers good.npy 3 4
	header() { printf '\x93NUMPY\x01\x00'; printf "\\x$(printf %02x $((${#1} & 255)))\\x$(printf %02x $((${#1} >> 8)))"; printf '%s' "$1"; }
	dict() { header "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"; }
	dict '<f4' '1000, 4' >claims.npy
	head -c 100 /dev/zero >>claims.npy
	dict '<f4' '18446744073709551615, 4' >rows64.npy
	dict '<f4' '4611686018427387904, 4' >wraps.npy
	dict '<f4' '99999999999999999999999, 4' >rows65.npy
	dict '<f4' '-1, 4' >negative.npy
	dict '<f4' '3, 0' >nocols.npy
	dict '<f4' '1, 2, 3' >cube.npy
	dict '<f4' '' >scalar.npy
	dict '|O' '1, 4' >object.npy
	dict '<c8' '1, 4' >complex.npy
	dict '<U5' '1, 4' >text.npy
	dict '|S5' '1, 4' >bytes.npy
	dict '<M8[s]' '1, 4' >dates.npy
	dict '<f3' '1, 4' >f3.npy
	dict '' '1, 4' >notype.npy
	header "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }" >fields.npy
	header "{'descr': '<f4', 'shape': (1, 4), }" >noorder.npy
	header "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }" >twice.npy
	header "{'descr': '<f4', 'fortran_order': maybe, 'shape': (1, 4), }" >maybe.npy
	header "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4)" >unclosed.npy
	header "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').system('true'), }" >code.npy
	header "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), 'x': 1}" >extra.npy
	printf '\x93NUMPY\x09\x00\x10\x00' >version.npy
	printf '\x93NUMPY\x01\x00\xff\xff{' >header.npy
	printf '\x93NUMPY\x02\x00\xff\xff\xff\xff{' >header4g.npy
	printf '\x93NUMPY' >magic.npy
	head -c 129 good.npy >byte.npy
	head -c -1 good.npy >last.npy
	: >empty.npy
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' >lfs.npy
	printf '<!DOCTYPE html><html>404' >web.npy
	printf 'PK\x03\x04junkjunkjunkjunk' >zip.npy
	printf '1.0,2.0\n3.0,4.0\n' >csv.npy
	n=0
	for case in *.npy; do
		[[ $case != good.npy ]] || continue
		refused 65 read-embeddings "$case" -o out
		says "read-embeddings: $case: "
		[[ ! -e out ]] || problem "an output appeared"
		refused 65 read-embeddings good.npy "$case" -o out
		says "read-embeddings: $case: "
		[[ ! -e out ]] || problem "an output appeared, behind a good file"
		n=$((n + 1))
	done
	while IFS='~' read -r case want; do
		try read-embeddings $case
		says "$want"
	done <<-'E'
		object.npy~never loaded
		claims.npy~1000 rows
		last.npy~truncated
		lfs.npy~git lfs pull
		web.npy~web page
		cube.npy~3 dimensions
		empty.npy~empty
		version.npy~version 9
	E
	case=
	[[ $n == 33 ]] || problem "$n files, 33 were meant"
}

@test "files of different widths are refused, naming both" {
	numbers a.npy 3 4
	numbers b.npy 3 5
	refused 65 read-embeddings a.npy b.npy -o out
	says "b.npy: 5 columns"
	says "a.npy has 4"
	[[ ! -e out ]] || problem "an output appeared"
}

@test "what is no regular file is 66" {
	mkfifo pipe
	mkdir dir
	refused 66 read-embeddings pipe
	says "pipe: is a pipe"
	refused 66 read-embeddings dir
	says "dir: is a directory"
	refused 66 read-embeddings /dev/null
	says "/dev/null: is a device"
	refused 66 read-embeddings missing.npy
	says "missing.npy"
	numbers a.npy 3 2
	refused 66 read-embeddings a.npy --ids dir
	says "dir: is a directory"
	refused 64 read-embeddings
}

@test "names with line ends and control characters cannot forge messages" {
	name=$'a\nread-embeddings: all is well\e[2J'
	printf 'junk' >"$name"
	try read-embeddings "$name"
	status_is 65
	[[ $(wc -l <"$ERR") == 1 ]] || problem "more than one line"
	! grep -q $'\e' "$ERR" || problem "control characters"
	status=0
	bounded topk -k 1 -i "$name" 2>"$ERR" || status=$?
	status_is 65
	[[ $(wc -l <"$ERR") == 1 ]] || problem "topk -i: more than one line"
}

@test "the same files make the same stream, id and all; other rows another id" {
	numbers a.npy 3 2
	numbers b.npy 4 2
	read-embeddings a.npy >1
	read-embeddings a.npy -t 3 -o 2
	same 1 2
	id() { frames -i "$1" | grep -o '"stream":"[0-9a-f]*"'; }
	read-embeddings b.npy >3
	read-embeddings a.npy --limit 2 >4
	[[ $(id 1) =~ [0-9a-f]{32} && $(id 1) != "$(id 3)" && $(id 1) != "$(id 4)" ]] || problem "ids: $(id 1) $(id 3) $(id 4)"
}
