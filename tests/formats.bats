# Files of embeddings in every format but plain npy (read.bats): that they are
# read as what they are, and that what lies is refused.

load helper

setup_file() {
	pick_python
}

setup() {
	cd "$BATS_TEST_TMPDIR"
}

# what FILE [OPTIONS]: its rows as raw float32 in ./got
what() {
	: >got
	ok read-embeddings "$@" -o read.sae
	[[ $status == 0 ]] || return 0
	ok write-embeddings -i read.sae got.npy
	tail -c +129 got.npy >got
}

# ... and its strings, a frame a line, in ./strings
strings() {
	what "$@"
	frames --text --rows -i read.sae | grep -o '"str","shape":\[[0-9]*\],"data":\[[^]]*\]' | sed 's/.*"data"://' >strings || true
}

# is FILE WANT [OPTIONS]: these rows
is() {
	case="$1 ${*:3}"
	what "$1" "${@:3}"
	same got "$2"
	case=
}

# always FILE WANT FORMAT [OPTIONS]: also as standard input, through a pipe, in
# part, and in shards
COLS=19 # of the files here
always() {
	local file=$1 want=$2 format=$3
	shift 3
	is "$file" "$want" "$@"
	case="$file $*"
	what - "$@" --format "$format" <"$file"
	same got "$want"
	cat "$file" | what - "$@" --format "$format"
	same got "$want"
	what "$file" "$@" -b 4 --skip 3 --limit 9
	tail -c +$((3 * COLS * 4 + 1)) "$want" | head -c $((9 * COLS * 4)) >part
	same got part
	: >all
	for i in 0 1 2; do
		what "$file" "$@" --shard $i/3
		cat got >>all
	done
	same all "$want"
	case=
}

@test "npz: stored, deflated, Fortran order, other types; one of several by --key" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(1).normal(size=(37, 19)).astype("<f4")
		a.tofile("want")
		np.savez("stored.npz", a)
		np.savez_compressed("deflated.npz", x=a)
		np.savez("fortran.npz", x=np.asfortranarray(a))
		np.savez_compressed("fortran-deflated.npz", x=np.asfortranarray(a))
		np.savez_compressed("beside.npz", x=a, mean=a.mean(0), names=np.array(["a", "b"]), k=3)
		np.savez("two.npz", a=a, b=-a)
		np.savez_compressed("two-deflated.npz", a=a, b=-a)
		h = a.astype(">f2")
		np.savez_compressed("half.npz", x=h)
		h.astype("<f4").tofile("half.want")
	E
	for f in stored beside; do
		is $f.npz want
	done
	for f in deflated fortran fortran-deflated; do
		always $f.npz want npz
	done
	always two.npz want npz --key a
	always two-deflated.npz want npz --key a
	is half.npz half.want
	refused 65 read-embeddings two.npz
	says "two.npz: "
	says "a (37 x 19), b (37 x 19)"
	refused 65 read-embeddings two.npz --key c
	says '"c"'
}

@test "safetensors: every type; one of several by --key" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(2).normal(size=(37, 19)) * 50
		types = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"}
		for name, t in types.items():
		    b = (abs(a) if t == "u1" else a).astype(t)
		    save_safetensors(f"{name}.safetensors", {"x": (name, b)})
		    b.astype("<f4").tofile(f"{name}.want")
		save_safetensors("BF16.safetensors", {"x": ("BF16", bf16(a))})
		widened(bf16(a)).tofile("BF16.want")
		a = a.astype("<f4")
		a.tofile("want")
		save_safetensors("model.safetensors", {"mean": ("F32", a[0]), "emb.x": ("F32", a), "scale": ("F32", a[0, :1])})
		save_safetensors("several.safetensors", {"b": ("F32", -a), "a": ("F32", a), "odd": ("F8_E4M3", np.zeros((3, 19), "u1"))})
	E
	for f in F32 F64 F16 BF16 I64 I32 I16 I8 U8 BOOL; do
		is $f.safetensors $f.want
	done
	is model.safetensors want
	always several.safetensors want safetensors --key a
	refused 65 read-embeddings several.safetensors --key odd
	says "tensor odd: "
	says F8_E4M3
	refused 65 read-embeddings several.safetensors
	says "--key"
}

@test "PyTorch: every type, strides, offsets, shared storages, both containers" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(3).normal(size=(37, 19)) * 50
		for t in "<f4 <f8 <f2 <i8 <i4 <i2 i1 u1 ?".split():
		    b = (abs(a) if t == "u1" else a).astype(t)
		    name = t.strip("<").replace("?", "b1")
		    save_pt(f"{name}.pt", tensor(b))
		    save_pt_legacy(f"{name}-old.pt", tensor(b))
		    b.astype("<f4").tofile(f"{name}.want")
		    b.astype("<f4").tofile(f"{name}-old.want")
		save_pt("bf16.pt", Tensor(Storage(bf16(a), "bf16"), a.shape))
		widened(bf16(a)).tofile("bf16.want")
		a = a.astype("<f4")
		names = []
		def case(name, obj):
		    save_pt(name + ".pt", obj)
		    save_pt_legacy(name + "-old.pt", obj)
		    for n in name, name + "-old":
		        a.tofile(n + ".want")
		case("columns", tensor(np.asfortranarray(a)))
		wide = np.zeros((37, 30), "<f4")
		wide[:, 4:23] = a
		case("slice", Tensor(wide, a.shape, (30, 1), 4))
		every = np.zeros((37, 38), "<f4")
		every[:, ::2] = a
		case("step", Tensor(every, a.shape, (38, 2)))
		both = np.zeros((38, 74), "<f4")
		both[::2, ::2] = a.T
		case("step-columns", Tensor(both, a.shape, (2, 148)))
		case("parameter", tensor(a, parameter=True))
		save_pt("protocol4.pt", tensor(a), protocol=4)
		save_pt("behind.pt", tensor(a), preface=b'{"schema": 1}\n')
		for n in "protocol4", "behind":
		    a.tofile(n + ".want")
		shared = Storage(np.concatenate([a.ravel(), -a.ravel()]))
		deep = {"epoch": 7, "images": {"train.x": Tensor(shared, a.shape), "test": [Tensor(shared, a.shape, offset=a.size), None]}, "k": 2**70, "p": (1.5, "ü", True)}
		save_pt("deep.pt", deep)
		save_pt_legacy("deep-old.pt", deep)
		a.tofile("deep.want")
		(-a).tofile("minus.want")
		save_pt("numpy.pt", {"x": a, "y": np.asfortranarray(a), "z": a.astype(">f8"), "s": np.float64(2.5), "n": np.array(["a", None])})
	E
	for f in *.pt; do
		[[ $f != deep* && $f != numpy* ]] || continue
		is $f ${f%.pt}.want
	done
	for f in columns slice step step-columns columns-old; do
		always $f.pt $f.want pt
	done
	for f in deep.pt deep-old.pt; do
		always $f deep.want pt --key images.train.x
		is $f minus.want --key images.test.0
		refused 65 read-embeddings $f
		says "images.train.x (37 x 19), images.test.0 (37 x 19)"
		refused 65 read-embeddings $f --key images
		says '"images"'
	done
	for k in x y z; do
		is numpy.pt deep.want --key $k
	done
}

@test "PyTorch: files that torch itself wrote" {
	G=$TESTS/golden/torch
	for f in model old; do
		for t in encoder decoder; do
			what $G/$f.pth --key model.$t
			tail -c +129 $G/$t.npy >want
			same got want
		done
	done
	ok read-embeddings --list $G/model.pth
	grep -q 'model.encoder  *32 x 256  *<f4$' "$OUT" || problem "the list: $(cat "$OUT")"
	grep -q 'model.latents_activation_frequency  *256  *<i8$' "$OUT" || problem "the list: $(cat "$OUT")"
}

@test "PyTorch: nothing in a file is run, and what asks for it is refused by its name" {
	need_python
	py <<-'E'
		import os
		from embfiles import *
		class Run:
		    def __init__(self, f, *a): self.a = f, a
		    def __reduce__(self): return self.a
		a = tensor(np.ones((3, 4), "<f4"))
		for p in 2, 4:
		    save_pt(f"system{p}.pt", {"x": a, "y": Run(os.system, "touch ran")}, protocol=p)
		    save_pt(f"eval{p}.pt", Run(eval, "open('ran', 'w')"), protocol=p)
		save_pt_legacy("system.pt", {"x": a, "y": Run(os.system, "touch ran")})
		open("bare.pt", "wb").write(pickle.dumps(Run(os.system, "touch ran"), 2))
		class Config:
		    def __init__(self): self.d, self.where = 4, {"name": "x"}
		save_pt("config.pt", {"cfg": Config(), "x": a})
	E
	for case in system2 system4 eval2 eval4 system bare; do
		refused 65 read-embeddings $case.pt --key x -o out
		[[ $case != system? ]] || says "asks to call posix.system"
		[[ $case != eval? ]] || says "asks to call "
		refused 65 read-embeddings --list $case.pt
		[[ ! -e out && ! -e ran ]] || problem "it ran, or wrote"
	done
	case=
	ok read-embeddings config.pt
}

@test "PyTorch: damaged and lying files" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.arange(200, dtype="<f4").reshape(10, 20)
		save_pt("good.pt", tensor(a))
		good = bytearray(open("good.pt", "rb").read())
		at = good.index(a.tobytes()) + 400
		flip = bytearray(good); flip[at] ^= 1
		open("flip.pt", "wb").write(flip)
		open("cut.pt", "wb").write(good[:-30])
		open("half.pt", "wb").write(good[:len(good) // 2])
		save_pt("columns.pt", tensor(np.asfortranarray(a)))
		save_pt("packed.pt", tensor(a), method=zipfile.ZIP_DEFLATED)
		save_pt("beyond.pt", Tensor(a, (10, 21)))
		save_pt("offset.pt", Tensor(a, (10, 20), offset=1))
		save_pt("expanded.pt", Tensor(a, (1 << 40, 20), (0, 1)))
		save_pt("cube.pt", Tensor(a, (2, 5, 20)))
		save_pt("none.pt", {"a": 1})
		save_pt("nocols.pt", Tensor(a, (3, 0)))
		open("lfs.pt", "w").write("version https://git-lfs.github.com/spec/v1\n")
		save_pt_legacy("old.pt", tensor(a))
		old = open("old.pt", "rb").read()
		open("old-cut.pt", "wb").write(old[:-1])
	E
	while IFS='~' read -r case want; do
		refused 65 read-embeddings $case.pt -o out
		says "read-embeddings: $case.pt: "
		says "$want"
		[[ ! -e out ]] || problem "an output appeared"
	done <<-'E'
		flip~checksum
		cut~truncated
		half~truncated
		packed~compressed
		beyond~a tensor of 210 numbers on a storage of 200
		offset~beyond its storage
		expanded~on a storage of 200
		cube~3 dimensions
		none~no array
		nocols~without columns
		lfs~git lfs pull
		old-cut~truncated
	E
	case=
	ok read-embeddings flip.pt --limit 3 # the damage is behind that
	what old.pt
	what good.pt
}

@test "fvecs, bvecs, ivecs" {
	need_python
	py <<-'E'
		from embfiles import *
		r = np.random.default_rng(4)
		for name, a in ("f", r.normal(size=(37, 19)).astype("<f4")), ("b", r.integers(0, 256, (37, 19)).astype("u1")), ("i", r.integers(-2**31, 2**31, (37, 19)).astype("<i4")):
		    save_vecs(f"x.{name}vecs", a)
		    a.astype("<f4").tofile(name + ".want")
		a = np.ones((3, 4), "<f4")
		save_vecs("short.fvecs", a)
		open("cut.fvecs", "wb").write(open("short.fvecs", "rb").read()[:-1])
		bad = bytearray(open("short.fvecs", "rb").read()); bad[20] = 5
		open("uneven.fvecs", "wb").write(bad)
		open("wide.fvecs", "wb").write(b"\xff\xff\xff\x7f" + bytes(16))
		open("negative.fvecs", "wb").write(b"\xff\xff\xff\xff" + bytes(16))
		open("zero.fvecs", "wb").write(bytes(20))
		open("tiny.fvecs", "wb").write(b"\1\0")
	E
	for f in f b i; do
		always x.${f}vecs $f.want ${f}vecs
	done
	for case in cut uneven wide negative zero tiny; do
		refused 65 read-embeddings $case.fvecs -o out
		says "$case.fvecs: "
	done
	refused 65 read-embeddings uneven.fvecs
	says "row 1 says that it holds 5 numbers"
}

@test "csv and tsv: separators, headings, quotes, keys and labels" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(5).normal(size=(37, 19)).astype("<f4")
		a[0, :6] = 0, -0.0, 1e-40, 3.4e38, 16777217, -1
		a.tofile("want")
		ids = [f"w{i}" for i in range(37)]
		ids[:5] = 'a,b', 'say "hi"', "two\nlines", " ü ", ""
		def rows(sep, quote, heading=None, id_at=None, end="\n", label=False):
		    out = [heading] if heading else []
		    for i, row in enumerate(a):
		        cells = [text(v) for v in row]
		        if label: cells.append(f"L{i % 3}")
		        if id_at is not None: cells.insert(id_at, '"' + ids[i].replace('"', '""') + '"' if quote else f"w{i}")
		        out.append(sep.join(cells))
		    return end.join(out) + end
		def put(name, s): open(name, "w", newline="").write(s)
		names = ",".join(f"x{i}" for i in range(19))
		put("plain.csv", rows(",", False))
		put("heading.csv", rows(",", False, names))
		put("crlf.csv", rows(",", False, names, end="\r\n"))
		put("semi.csv", rows(";", False))
		put("tabs.csv", rows("\t", False))
		put("blanks.csv", "\n" + rows("   ", False, end="\n\n"))
		put("comment.csv", rows(" ", False, "# made by numpy.savetxt"))
		put("plain.tsv", rows("\t", False))
		put("bom.csv", "\ufeff" + rows(",", False, '"x 0",' + names[3:]))
		put("open.csv", rows(",", False)[:-1])
		put("id.csv", rows(",", True, "word," + names, 0))
		put("id-last.tsv", rows("\t", True, names.replace(",", "\t") + "\tword", 19))
		put("noheading.csv", rows(",", True, None, 0))
		put("both.csv", rows(",", True, names[:2] + ",word," + names[3:] + ",class", 1, label=True))
		put("counts.csv", rows(",", False, ",".join(str(i) for i in range(19))))
		put("index.csv", rows(",", True, "," + ",".join(str(i) for i in range(19)), 0))
		open("ids.want", "w").write("".join(json.dumps(i, ensure_ascii=False) + "\n" for i in ids))
		open("labels.want", "w").write("".join(f'"L{i % 3}"\n' for i in range(37)))
	E
	for f in plain heading crlf semi tabs blanks comment bom open; do
		is $f.csv want
	done
	always plain.tsv want tsv
	gzip -k plain.csv plain.tsv
	gzip -c plain.tsv plain.tsv >twice.tsv.gz
	is plain.csv.gz want
	is plain.tsv.gz want
	cat want want >want2
	always twice.tsv.gz want2 tsv
	# each row's string on a line of its own
	words() { strings "$@" -b 1; sed 's/^\[//; s/\]$//' strings >words; }
	always id.csv want csv --id-column word
	words id.csv --id-column word
	same words ids.want
	words id.csv --id-column 1
	same words ids.want
	same got want
	words id-last.tsv --id-column word
	same words ids.want
	is noheading.csv want --id-column 1
	words noheading.csv --id-column 1
	same words ids.want
	is both.csv want --id-column word --label-column class
	words both.csv --id-column word --label-column class
	awk 'NR % 2' words | cmp -s - ids.want || problem "ids beside labels"
	awk 'NR % 2 == 0' words | cmp -s - labels.want || problem "labels beside ids"
	is counts.csv want --header yes
	is index.csv want --id-column 1
	refused 65 read-embeddings counts.csv
	says "--header"
	what counts.csv --header no
	[[ $(wc -c <got) == $((38 * 19 * 4)) ]] || problem "--header no lost the first line"
	refused 65 read-embeddings index.csv
	says "pandas"
	refused 65 read-embeddings id.csv
	says 'line 2: column 1 word: "a,b" is no number'
	refused 65 read-embeddings plain.csv --id-column word
	says '"word"'
	refused 64 read-embeddings plain.csv --header maybe
}

@test "csv: what is refused, and where" {
	printf '1,2\n3\n' >short.csv
	printf '1,2\n3,4,5\n' >long.csv
	printf '1,2\n3,x\n' >word.csv
	printf '1,2\n3,\n' >empty.csv
	printf '1,2\n3,0x10\n' >hex.csv
	printf '1,2\n3,"4\n5,6\n' >open.csv
	printf '1,2\n3,"4"5\n' >behind.csv
	printf '1,2\n3,\0004\n' >nul.csv
	printf '\n\n' >none.csv
	printf 'a,b\n1,2\n3,nan\n' >nan.csv
	printf 'w,a\nx\xff,2\n' >latin.csv
	while IFS='~' read -r case want; do
		refused 65 read-embeddings $case.csv --id-column "${id:-1}" -o out 2>/dev/null
		refused 65 read-embeddings $case.csv -o out
		says "read-embeddings: $case.csv: "
		says "$want"
		[[ ! -e out ]] || problem "an output appeared"
	done <<-'E'
		short~line 2: 1 columns, where 2 are expected
		long~line 2: 3 columns
		word~line 2: column 2: "x" is no number
		empty~line 2: column 2: "" is no number
		hex~"0x10" is no number
		open~line 2: column 2: a quote is not closed
		behind~line 2: column 2: something follows
		nul~line 2: holds a NUL byte
		none~no lines
		nan~row 1 holds NaN
	E
	case=
	refused 65 read-embeddings latin.csv --id-column w -o out
	says "line 2: column 1: a row key or label is not UTF-8"
	ok read-embeddings nan.csv --nan skip
}

@test "JSON lines: arrays, objects, keys and labels" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(6).normal(size=(37, 19)).astype("<f4")
		a[0, :2] = 3, -7
		a.tofile("want")
		def put(name, lines): open(name, "w").write("\n".join(json.dumps(l) for l in lines) + "\n")
		nums = lambda row: [int(v) if v == int(v) else float(v) for v in row]
		put("arrays.jsonl", [nums(r) for r in a])
		put("objects.jsonl", [{"text": "ü \"q\"", "embedding": nums(r), "tokens": []} for r in a])
		put("several.ndjson", [{"id": i if i % 2 else f"k{i}", "class": "even"[i % 2:], "a": nums(-r), "b": nums(r)} for i, r in enumerate(a)])
		open("ids.want", "w").write("".join(f'"{"k" * (i % 2 == 0)}{i}"\n' for i in range(37)))
		open("blank.jsonl", "w").write("\n" + open("arrays.jsonl").read().replace("\n", "\n  \r\n"))
	E
	is arrays.jsonl want
	is objects.jsonl want
	is blank.jsonl want
	always several.ndjson want jsonl --key b
	strings several.ndjson --key b --id-column id --label-column class -b 1
	awk 'NR % 2' strings | tr -d '[]' | cmp -s - ids.want || problem "ids: $(head -n 4 strings)"
	refused 65 read-embeddings several.ndjson
	says "2 members"
	refused 65 read-embeddings several.ndjson --key class
	says "line 1: no array"
	refused 65 read-embeddings several.ndjson --key b --id-column no
	says 'line 1: member "no" is missing'
	for bad in '[1,2' '[1,"x"]' '[1]' '{"a":[1,2]}x' '{"b":[1,2]}' '[1,null]' '7' '[[1,2]]' '[1e999,2]' '[NaN,2]'; do
		printf '[1,2]\n%s\n' "$bad" >bad.jsonl
		case=$bad
		refused 65 read-embeddings bad.jsonl -o out
		says "bad.jsonl: line 2: "
	done
	case=deep
	head -c 100000 /dev/zero | tr '\0' '[' >deep.jsonl
	refused 65 read-embeddings deep.jsonl
	says nested
	: >empty.jsonl
	refused 65 read-embeddings empty.jsonl
}

@test "tar of npy members: their names are row keys" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(7).normal(size=(37, 19)).astype("<f4")
		a.tofile("want")
		def members(n=1, ext="npy"):
		    for i in range(0, 37, n):
		        yield f"./{i:05d}.jpg", b"not a picture"
		        yield f"shard/{i:05d}.{ext}", npy_bytes(a[i] if n == 1 else a[i:i + n])
		        yield f"{i:05d}.json", b"{}" * 300
		save_tar("one.tar", members())
		save_tar("some.tar", members(5))
		save_tar("two.tar", [x for i in range(37) for x in ((f"{i}.text.npy", npy_bytes(-a[i].astype("<f2"))), (f"{i}.img.npy", npy_bytes(a[i])))])
		long = [("d" * 90 + f"/{'n' * 150}{i}.npy", npy_bytes(a[i])) for i in range(37)]
		save_tar("pax.tar", long, tarfile.PAX_FORMAT)
		save_tar("gnu.tar", long, tarfile.GNU_FORMAT)
		open("ids.want", "w").write("".join(f'["shard/{i:05d}"]\n' for i in range(37)))
		open("some.want", "w").write("".join(f'["shard/{i // 5 * 5:05d}/{i % 5}"]\n' if i < 35 else f'["shard/00035/{i - 35}"]\n' for i in range(37)))
		open("long.want", "w").write("".join('["' + "d" * 90 + f'/{"n" * 150}{i}"]\n' for i in range(37)))
		save_tar("widths.tar", [("a.npy", npy_bytes(a[0])), ("b.npy", npy_bytes(a[0, :5]))])
		save_tar("object.tar", [("a.npy", npy_bytes(np.array([None, 1])))])
		save_tar("lies.tar", [("a.npy", npy_bytes(a)[:-1])])
		save_tar("columns.tar", [("a.npy", npy_bytes(np.asfortranarray(a)))])
		save_tar("none.tar", [("a.jpg", b"x")])
		one = open("one.tar", "rb").read()
		open("cut.tar", "wb").write(one[:-11000])
		broken = bytearray(one); broken[one.index(b"shard/00007") + 8] ^= 1
		open("broken.tar", "wb").write(broken)
		save_tar("junk.tar", [("a.npy", b"x" * 200)])
	E
	for f in one some pax gnu; do
		is $f.tar want
	done
	gzip -k one.tar
	always one.tar.gz want tar
	strings one.tar -b 1
	same strings ids.want
	strings some.tar -b 1
	same strings some.want
	for f in pax gnu; do
		strings $f.tar -b 1
		same strings long.want
	done
	always two.tar want tar --key img
	seq 1 37 >lines
	strings one.tar --ids lines -b 1
	grep -qx '\["37"\]' strings || problem "--ids does not come before the names"
	for case in widths object lies columns none cut broken junk; do
		refused 65 read-embeddings $case.tar -o out
		says "read-embeddings: $case.tar: "
		[[ ! -e out ]] || problem "an output appeared"
	done
}

@test "gzip and zstd around anything; broken ones" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(8).normal(size=(37, 19)).astype("<f4")
		a.tofile("want")
		np.save("a.npy", a)
		save_pt("a.pt", tensor(a))
		np.savez("a.npz", a)
		open("a.csv", "w").write("\n".join(",".join(text(v) for v in r) for r in a))
		def zst(data, checked=False):
		    # a frame of raw blocks: magic, no checksum, a window of 1 MiB
		    out = b"\x28\xb5\x2f\xfd\x00\x50"
		    for i in range(0, len(data), 1000):
		        part = data[i:i + 1000]
		        out += struct.pack("<I", (i + 1000 >= len(data)) | len(part) << 3)[:3] + part
		    return out
		for f in "a.npy", "a.pt", "a.npz", "a.csv":
		    d = open(f, "rb").read()
		    open(f + ".gz", "wb").write(gzip.compress(d))
		    open(f + ".zst", "wb").write(zst(d[:1500]) + zst(d[1500:]))
		g = gzip.compress(open("a.csv", "rb").read())
		open("cut.csv.gz", "wb").write(g[:len(g) // 2])
		open("tail.csv.gz", "wb").write(g[:-4])
		bad = bytearray(g); bad[-6] ^= 1
		open("sum.csv.gz", "wb").write(bad)
		open("junk.csv.gz", "wb").write(g + b"junk")
		open("zeros.csv.gz", "wb").write(g + bytes(512))
		z = zst(open("a.csv", "rb").read())
		open("cut.csv.zst", "wb").write(z[:-700])
		open("bad.csv.zst", "wb").write(z[:6] + b"\xff\xff\xff" + z[9:])
	E
	for f in npy pt npz csv; do
		always a.$f.gz want $f
		is a.$f.zst want
	done
	is zeros.csv.gz want
	for case in cut.csv.gz tail.csv.gz sum.csv.gz junk.csv.gz cut.csv.zst bad.csv.zst; do
		refused 65 read-embeddings $case -o out
		says "$case: "
		[[ ! -e out ]] || problem "an output appeared"
	done
}

@test "standard input: what it is, is seen or said; several passes cannot be" {
	printf '1,2\n3,4\n5,6\n' >a.csv
	case="npy needs no --format"
	ok read-embeddings a.csv -o a.sae
	write-embeddings -i a.sae a.npy
	cat a.npy | what -
	tail -c +129 a.npy | cmp -s - got || problem "other rows"
	case="raw through a pipe"
	tail -c +129 a.npy | cat | what - --format raw --dim 2
	tail -c +129 a.npy | cmp -s - got || problem "other rows"
	case=
	cat_to() { cat "$1" | bounded "${@:2}"; }
	refused_pipe() { # CODE WORDS... : read-embeddings of a.csv through a pipe
		status=0 last="read-embeddings - ${*:2}"
		cat a.csv | bounded read-embeddings - "${@:2}" >"$OUT" 2>"$ERR" || status=$?
		status_is "$1"
		one_line read-embeddings
	}
	refused_pipe 65
	says "--format"
	refused_pipe 64 --format csv --shard 0/2
	says "standard input"
	refused_pipe 64 --format cvs
	says "jsonl"
	refused_pipe 64 --format csv a.csv
	says "several"
	printf 'a\nb\n' >two
	printf 'a\nb\nc\nd\n' >four
	refused_pipe 65 --format csv --ids two -o out
	says "two: "
	refused_pipe 65 --format csv --ids four -o out
	says "four: more lines than the 3 rows"
	[[ ! -e out ]] || problem "an output appeared"
	head -c 15 a.npy >cut.npy
	status=0
	tail -c +129 a.npy | head -c 23 | bounded read-embeddings - --format raw --dim 2 >"$OUT" 2>"$ERR" || status=$?
	status_is 65
	says "ends within row 2"
}

@test "files of several formats are one stream" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.random.default_rng(9).normal(size=(40, 6)).astype("<f4")
		a.tofile("want")
		np.save("p1.npy", a[:7])
		open("p2.csv", "w").write("\n".join(",".join(text(v) for v in r) for r in a[7:12]))
		np.savez_compressed("p3.npz", a[12:20])
		save_pt("p4.pt", tensor(np.asfortranarray(a[20:33])))
		open("p10.jsonl", "w").write("\n".join(json.dumps(r.tolist()) for r in a[33:]))
		save_tar("p11.tar", [("a.npy", npy_bytes(a[0]))])
		open("ids", "w").writelines(f"{i}\n" for i in range(40))
	E
	for b in 1 3 16 100; do
		case="-b $b"
		strings p10.jsonl p2.csv p1.npy p4.pt p3.npz -b $b --ids ids
		same got want
	done
	for i in 0 5 7 11 12 19 33 39; do
		case="--skip $i"
		strings p?.* p10.jsonl --skip $i --limit 3 --ids ids
		tail -c +$((i * 24 + 1)) want | head -c 72 >part
		same got part
		grep -q "^\[\"$i\"" strings || problem "ids begin with $(cat strings)"
	done
	: >all
	for i in 0 1 2 3 4 5 6; do
		what p?.* p10.jsonl --shard $i/7
		cat got >>all
	done
	case=
	same all want
	refused 65 read-embeddings p1.npy p11.tar -o out
	says "row keys"
	read-embeddings p?.* p10.jsonl >1
	read-embeddings p?.* p10.jsonl -t 2 -o 2
	same 1 2
}

@test "--list: files, arrays, shapes, types, aligned" {
	need_python
	py <<-'E'
		from embfiles import *
		a = np.zeros((37, 19), "<f4")
		np.save("a.npy", a.astype("<f2"))
		np.savez("b.npz", x=a, mean=a[0], cube=np.zeros((2, 3, 4)), names=np.array(["x"]), k=3)
		save_pt("c.pt", {"m": {"W": tensor(a.astype("<i8"))}, "s": Tensor(a, ())})
		save_safetensors("d.safetensors", {"x": ("F8_E4M3", a.astype("u1"))})
		open("e.csv", "w").write("w,a,b\nx,1,2\ny,3,4\n")
		save_pt("f.pt", {"a\x1b[2J": tensor(a)})
	E
	ok read-embeddings --list a.npy b.npz c.pt d.safetensors e.csv --id-column 1
	cat >want <<-'E'
		file           format       array  shape       type
		a.npy          npy                 37 x 19     <f2
		b.npz          npz          x      37 x 19     <f4
		b.npz          npz          mean   19          <f4
		b.npz          npz          cube   2 x 3 x 4   <f8
		b.npz          npz          names  ?           ?
		b.npz          npz          k      one number  <i8
		c.pt           pt           m.W    37 x 19     <i8
		c.pt           pt           s      one number  <f4
		d.safetensors  safetensors  x      37 x 19     F8_E4M3
		e.csv          csv                 2 x 2       text
	E
	sed 's/ *$//' "$OUT" >got
	diff got want >diff || problem "$(cat diff)"
	ok read-embeddings --list f.pt
	! grep -q $'\e' "$OUT" || problem "control characters"
	ok read-embeddings --list a.npy -o listed
	[[ -s listed ]] || problem "-o"
	refused 66 read-embeddings --list no/such/file
}

@test "what comes in order only cannot be trained on directly" {
	printf '1,2\n3,4\n' >a.csv
	refused 65 sae-train a.csv -o m.msae
	says "a.csv: "
	says "read-embeddings"
}

@test "a row of a compressed array costs no memory: constant, whatever the file" {
	need_python
	[[ ! ${BIN:-} =~ address ]] || skip "the address sanitizer needs all addresses"
	py <<-'E'
		from embfiles import *
		a = np.zeros((300000, 128), "<f4")
		np.savez_compressed("zeros.npz", a)
		with gzip.open("zeros.csv.gz", "w", 1) as f:
		    for i in range(300):
		        f.write((b"0" + b",0" * 127 + b"\n") * 1000)
	E
	for f in zeros.npz zeros.csv.gz; do
		(
			ulimit -v 120000
			bounded read-embeddings -t 1 $f | frames --check >"$OUT" 2>&1
		) || problem "$f: $(heard)"
		grep -q "300000 rows" "$OUT" || problem "$f: $(cat "$OUT")"
	done
}

@test "inputs that once broke a reader" {
	n=0
	for case in "$TESTS"/bad/*/*; do
		try read-embeddings "$case" -o out --nan skip
		status_is 0 65 64
		rm -f out
		try read-embeddings --list "$case"
		status_is 0 65 64
		n=$((n + 1))
	done
	case=
	[[ $n -ge 2 ]] || problem "only $n files in tests/bad"
}
