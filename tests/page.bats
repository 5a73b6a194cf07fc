# report's page and what feeds it: levels, evaluations, pictures, sizes; and, in
# a browser where there is one, that it sorts, filters and shows concepts.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	[[ -n $PYTHON ]] || return 0
	py <<-'E'
		from sae import *
		write_model("nested.msae", random_model(8, 64, 3), nesting="2,5,20", rows=10, seed=1)
		write_model("other.msae", random_model(8, 64, 4), nesting="2,5,20", rows=10, seed=1)
		write_model("flat.msae", random_model(8, 64, 5), k=4, rows=10, seed=1, architecture="topk")
		r = np.random.default_rng(6)
		np.save("many.npy", r.normal(size=(300, 8)).astype("<f4"))
		open("labels.txt", "w").write("".join(f"kind-{i % 7}\n" for i in range(300)))
	E
	read-embeddings many.npy --labels labels.txt | normalize -m nested.msae >many.sae
	sae-encode -m nested.msae -i many.sae -o nested.sae
	pick_browser
}

# A browser that runs here, or none.
pick_browser() {
	local b
	BROWSER=
	echo '<body><script>document.body.append("it " + "runs")</script>' >try.html
	for b in chromium chromium-browser google-chrome; do
		if command -v "$b" >/dev/null; then
			BROWSER=$b
			dump "$PWD/try.html" "$PWD/try.dom" && grep -q "it runs" try.dom && break
			BROWSER=
		fi
	done
	export BROWSER
}

# dump PAGE FILE: the document a browser makes of a page (PAGE may end in #...).
dump() {
	HOME=$BATS_FILE_TMPDIR timeout -k 5 60 "$BROWSER" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --user-data-dir="$(mktemp -d -p "$BATS_FILE_TMPDIR")" --virtual-time-budget=3000 --dump-dom "file://$1" >"$2" 2>/dev/null </dev/null
}

# act PAGE#HASH: the page with the script on standard input behind its own; what
# that gives to say() comes out, a line each.
act() {
	local page=${1%%#*} hash=
	[[ $1 != *#* ]] || hash="#${1#*#}"
	{
		sed '/^<meta http-equiv=Content-Security-Policy/d; s|</body></html>||' "$page"
		echo '<pre id=said></pre>'
		echo '<script>{const said=[],say=(...v)=>said.push(v.join("|"));try{'
		cat
		echo '}catch(e){say(e)}document.getElementById("said").textContent=said.join("\n")}</script></body></html>'
	} >"$T/acting.html"
	dump "$T/acting.html$hash" "$T/dom" || problem "the browser says no (or nothing)"
	sed -n '/<pre id="said">/,/<\/pre>/p' "$T/dom" | sed 's/<[^>]*>//g' >"$T/said"
}

need_browser() {
	[[ -n ${BROWSER:-} ]] || skip "no chromium that runs"
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

@test "-m: the nesting level where a latent enters" {
	need_python
	for stream in "$BATS_FILE_TMPDIR/world/nested.sae" "$T/cut.sae"; do
		[[ -e $stream ]] || topk -k 7 -i nested.sae -o "$stream"
		ok report --json -m nested.msae -i "$stream" -o "$T/json"
		py "$T/json" "$stream" <<-'E'
			import sys
			from sae import *
			r, z = json.load(open(sys.argv[1])), load(sys.argv[2])[1]["z"]
			levels = [2, 5, 20]
			assert r["architecture"]["nesting"] == levels and r["architecture"]["architecture"] == "msae"
			rank = np.argsort(np.argsort(-z, axis=1, kind="stable"), axis=1)
			some = set()
			for a in r["codes"]["active_latents"]:
			    j = a["latent"]
			    at = rank[z[:, j] != 0, j]
			    within = [int((at < k).sum()) for k in levels]
			    assert a["level_rows"] == np.diff([0] + within).tolist()
			    want = next((k for k, n in zip(levels, within) if 2 * n >= a["rows"]), None)
			    assert a["level"] == want, (j, a["level"], want)
			    some.add(want)
			assert len(some) >= 2
		E
	done
	ok report -m nested.msae -i nested.sae
	grep -q "levels  *2, 5, 20" "$OUT" && grep -q "mean  *max  *level  *strongest" "$OUT" || problem "the text has no levels"
	refused 65 report -m other.msae -i nested.sae
	refused 65 report -m other.msae -i "$T/cut.sae" --html "$T/no.html"
	says "other.msae"
	[[ ! -e $T/no.html ]] || problem "a page of another model"
	refused 66 report -m missing.msae -i nested.sae
	sae-encode -m flat.msae --as-is -i many.sae -o "$T/flat.sae"
	ok report -m flat.msae -i "$T/flat.sae"
	grep -q "levels  *none" "$OUT" || problem "does not say that there are no levels"
	! grep -q "level  *strongest" "$OUT" || problem "levels of a model that has none"
}

@test "--eval: FVU against k, of this model only" {
	need_python
	sae-eval -m nested.msae --no-cknna --progressive --json -i many.sae -o "$T/eval.json"
	sae-eval -m other.msae --no-cknna --json -i many.sae -o "$T/other.json"
	sae-eval --compare other.msae nested.msae --no-cknna --progressive --json -i many.sae -o "$T/both.json"
	ok report --html "$T/page.html" --eval "$T/eval.json" -i nested.sae
	ok report --html "$T/both.html" --eval "$T/both.json" -i nested.sae
	same "$T/page.html" "$T/both.html"
	py "$T/page.html" "$T/eval.json" <<-'E'
		import json, re, sys
		page, said = open(sys.argv[1]).read(), json.load(open(sys.argv[2]))
		assert f">{said['as_used']['fvu']['mean']:.4f}<" in page
		got = [tuple(map(float, t)) for t in re.findall(r"<title>FVU: ([-0-9.e+]+), ([-0-9.e+]+)</title>", page)]
		want = [(l["k"], l["fvu"]["mean"]) for l in said["at"]]
		assert len(got) == len(want) == 3 and all(a[0] == b[0] and abs(a[1] - b[1]) < 1e-3 * abs(b[1]) for a, b in zip(got, want)), (got, want)
	E
	ok report --eval "$T/eval.json" -i nested.sae
	grep -q "measured  *FVU" "$OUT" || problem "the text has no FVU"
	sed 's/"at":\[.*\],"do"/"at":[],"do"/' "$T/eval.json" >"$T/used.json"
	ok report --html "$T/used.html" --eval "$T/used.json" -i nested.sae
	grep -q "Not measured by level" "$T/used.html" || problem "says nothing of what is missing"
	refused 65 report --eval "$T/other.json" -i nested.sae
	says "other.json"
	refused 65 report --eval "$T/both.json" -i raw.sae
	refused 66 report --eval "$T/none.json" -i nested.sae
	cp nested.msae "$T/model.json"
	printf '{}' >"$T/empty.json"
	printf '[1]' >"$T/list.json"
	head -c 100 "$T/eval.json" >"$T/cut.json"
	: >"$T/nothing.json"
	sed 's/"k":32/"k":8/' "$T/eval.json" >"$T/falling.json"
	sed 's/"latents":64/"latents":"64"/' "$T/eval.json" >"$T/words.json"
	for case in model empty list cut nothing falling words; do
		refused 65 report --html "$T/no.html" --eval "$T/$case.json" -i nested.sae
		says "$case.json"
		[[ ! -e $T/no.html ]] || problem "a page all the same"
	done
}

@test "rows beyond those counted are drawn evenly, whatever the frames" {
	need_python
	py "$T" <<-'E'
		import sys
		from sae import *
		r = np.random.default_rng(2)
		n = 50000
		z = (r.random((n, 12)) < np.linspace(.02, .5, 12)).astype("f4")
		z[:, 1] = z[:, 0] * (r.random(n) < .8)
		z[25000:, 2] = 0
		for batch in (1000, 7001):
		    write(f"{sys.argv[1]}/{batch}.sae", stream({"z": sparse(z)}, batch=batch))
		np.save(sys.argv[1] + "/z.npy", z)
	E
	for n in 1000 7001; do
		ok report --json -i "$T/$n.sae" -o "$T/$n.json"
	done
	py "$T" <<-'E'
		import sys
		from sae import *
		a, b = (json.load(open(f"{sys.argv[1]}/{n}.json"))["codes"] for n in (1000, 7001))
		assert a == b and a["together_rows"] == 32768
		z = np.load(sys.argv[1] + "/z.npy")
		for l in a["active_latents"]:
		    share = z[:, l["latent"]].mean()
		    assert abs(l["fired"] / 32768 - share) < 5 * (share / 32768)**.5, (l["latent"], l["fired"] / 32768, share)
		first = a["active_latents"][0]["together"][0]
		assert first["latent"] == 1
		assert abs(first["overlap"] - .8**.5) < .03
	E
}

@test "histograms of values of any size, and below 0" {
	need_python
	py "$T/wide.sae" <<-'E'
		import sys
		from sae import *
		z = np.array([[1e-30, 1, 3, 1e-45], [1e30, 1, 32, 0], [-2, 1, 31, 0], [2e30, 1, -1, 3e38], [0, 1, 64, 1]], "f4")
		write(sys.argv[1], stream({"z": sparse(z)}))
	E
	ok report --json -i "$T/wide.sae" -o "$T/json"
	ok report --html "$T/page.html" -i "$T/wide.sae"
	py "$T/wide.sae" "$T/json" <<-'E'
		import sys
		from sae import *
		z = load(sys.argv[1])[1]["z"].astype("f8")
		for a in json.load(open(sys.argv[2]))["codes"]["active_latents"]:
		    v, h = z[:, a["latent"]], a["histogram"]
		    assert h["negative"] == (v < 0).sum() and sum(h["rows"]) == (v > 0).sum()
		    assert 16 <= v.max() / h["width"] < 32 and h["rows"] == np.bincount((v[v > 0] / h["width"]).astype(int)).tolist(), (a["latent"], h)
	E
}

@test "--thumbs: pictures of what is a path or an address, and nothing else" {
	need_python
	py "$T/ids.sae" <<-'E'
		import sys
		from sae import *
		good = ["a.jpg", "./b c.PNG", "/abs/c#1.jpeg", "d/100%.webp", "http://h.example/e.jpg?x=1", "https://h.example/image?id=<3>", "d:e/../f.gif/x", "é.jpg"]
		bad = ["javascript:alert(1)//.jpg", "data:image/png,x.png", "//host.example/x.png", "\\\\host\\x.png", "/\\host/x.png", "file:///etc/x.png", " javascript:x.png", "a\tb.jpg", "a.txt", "x" * 600 + ".jpg", "\"onerror=alert(1) x=.txt"]
		ids = good + bad
		z = np.eye(len(ids), dtype="<f4") + .5
		write(sys.argv[1], stream({"z": sparse(z), "id": ids}))
	E
	ok report --html "$T/page.html" --thumbs --examples 64 -i "$T/ids.sae"
	ok report --html "$T/none.html" --examples 64 -i "$T/ids.sae"
	! grep -q '<img' "$T/none.html" || problem "pictures that nobody asked for"
	grep -q 'img-src' "$T/page.html" && ! grep -q 'img-src' "$T/none.html" || problem "what may be fetched"
	py "$T/page.html" <<-'E'
		import json, re, sys
		from html.parser import HTMLParser
		text = open(sys.argv[1], encoding="utf-8").read()
		class Page(HTMLParser):
		    found = []
		    def handle_starttag(self, tag, attrs):
		        attrs = dict(attrs)
		        assert not any(k.startswith("on") for k in attrs), attrs
		        if tag == "img":
		            assert attrs["loading"] == "lazy"
		            self.found.append(attrs["src"])
		p = Page()
		p.feed(text)
		want = {"a.jpg", "./b%20c.PNG", "/abs/c%231.jpeg", "d/100%25.webp", "http://h.example/e.jpg?x=1", "https://h.example/image?id=<3>", "é.jpg"}
		assert set(p.found) == want, set(p.found) ^ want
		data = json.loads(re.search(r"id=data>(.*?)</script>", text, re.S).group(1))
		found = {x[2] if x[4] == 1 else x[4] for c in data["concepts"][1:] for x in c[9] if len(x) > 4}
		assert found == want, found ^ want
	E
	refused 64 report --thumbs -i "$T/ids.sae"
}

@test "a page stays below 10 MB, however many latents and however long their ids" {
	need_python
	py "$T/large.sae" <<-'E'
		import sys
		from sae import *
		r = np.random.default_rng(1)
		m, n = 20000, 4000
		idx = np.sort(np.stack([r.choice(m, 60, replace=False) for _ in range(n)]), axis=1)
		z = (np.arange(n + 1) * 60, idx.ravel(), r.random(n * 60) + .1, m)
		write(sys.argv[1], stream({"z": z, "id": [f"https://example.com/{'<&>' * 60}/{i}.jpg" for i in range(n)]}, batch=500,
		                          concepts=[{"latent": i, "name": f"name <{i}> " + "&" * 50} for i in range(0, m, 3)]))
	E
	ok report --html "$T/large.html" --thumbs -i "$T/large.sae"
	size=$(stat -c %s "$T/large.html")
	((size < 10000000 && size > 4000000)) || problem "$size bytes"
	grep -q "The first [0-9]* of [0-9]*; report --json has all" "$T/large.html" || problem "does not say what is left out"
	py "$T/large.html" <<-'E'
		import json, re, sys
		data = json.loads(re.search(r"id=data>(.*?)</script>", open(sys.argv[1]).read(), re.S).group(1))
		c = data["concepts"][1:]
		whole = [len(x) == 13 for x in c]
		assert 0 < sum(whole) < len(c) <= data["active"] and {len(x) for x in c} == {8, 13}
		assert whole == sorted(whole, reverse=True), "sections are of the first"
		named = [x[1] != 0 for x in c]
		assert named == sorted(named, reverse=True), "those with names come first"
	E
}

@test "memory does not grow with the rows of a page" {
	! grep -q __asan_init "$(command -v report)" || skip "an address sanitizer keeps memory"
	peak() { # ROWS: what report -v says it took, in MB
		plant-embeddings --rows "$1" --dim 8 --concepts 12 --active 3 --truth "$T/m.msae" -o "$T/raw"
		normalize -m "$T/m.msae" -i "$T/raw" | sae-encode -m "$T/m.msae" -k 4 | report -v -t 2 --html "$T/page.html" 2>&1 | grep -o 'peak [0-9]*' | tr -dc '0-9'
	}
	small=$(peak 60000) large=$(peak 600000)
	[[ -n $small && $large -le $((small + 4)) ]] || problem "$small MB for 60000 rows, $large MB for 600000"
}

@test "in a browser: the page runs as it is, under its own policy" {
	need_browser
	ok report --html "$T/page.html" -i named.sae
	dump "$T/page.html" "$T/dom" || problem "the browser says no"
	n=$(grep -o '<tr data-latent=' "$T/dom" | wc -l)
	active=$(report --json -i named.sae | sed -n 's/^ *"active": \([0-9]*\),$/\1/p')
	[[ -n $active && $n -eq $active ]] || problem "$n rows in its table, of $active"
	sed 's|</body></html>|<script>document.body.append("in" + "jected")</script></body></html>|' "$T/page.html" >"$T/evil.html"
	dump "$T/evil.html" "$T/dom" || problem "the browser says no"
	! grep -q "injected" "$T/dom" || problem "a script that is not the page's own runs"
}

@test "in a browser: sorts, filters, turns pages" {
	need_browser
	need_python
	ok report --html "$T/page.html" -m nested.msae -i nested.sae
	ok report --json -m nested.msae -i nested.sae -o "$T/json"
	act "$T/page.html" <<-'E'
		const $ = s => document.querySelector(s), rows = () => [...document.querySelectorAll('#list tbody tr')];
		const column = i => rows().map(r => r.cells[i].textContent).join(' ');
		const button = name => [...document.querySelectorAll('#list th button')].find(b => b.textContent === name);
		const type = text => { $('#filter').value = text; $('#filter').dispatchEvent(new Event('input')) };
		say('shown', $('#shown').textContent, rows().length);
		document.querySelector('[aria-label="next page"]').click();
		say('turned', $('#shown').textContent, rows().length);
		button('max').click(); say('max', column(0));
		button('max').click(); say('max up', column(0));
		button('latent').click(); say('latent', column(0));
		button('level').click(); say('level', column(0));
		say('aria', [...document.querySelectorAll('#list th')].map(h => h.getAttribute('aria-sort')).filter(Boolean).join(' '));
		button('latent').click();
		type('KIND-3'); say('label', column(0));
		type('kind-3 kind-4'); say('both', column(0));
		type('nowhere'); say('none', $('#shown').textContent, rows()[0].textContent);
		type('');
		$('#level').value = '5'; $('#level').dispatchEvent(new Event('change')); say('of 5', column(0));
	E
	py "$T/json" "$T/said" <<-'E'
		import json, sys
		c = json.load(open(sys.argv[1]))["codes"]["active_latents"]
		said = dict(l.rstrip("\n").split("|", 1) for l in open(sys.argv[2]) if "|" in l)
		n = len(c)
		assert 50 < n <= 64
		assert said["shown"] == f"1–50 of {n}|50" and said["turned"] == f"51–{n} of {n}|{n - 50}", said
		numbers = lambda key: [int(v) for v in said[key].split()]
		by = {a["latent"]: a for a in c}
		digits = lambda v: float(f"{v:.4g}")
		def ordered(key, f, way):
		    got = [f(by[j]) for j in numbers(key)]
		    assert len(got) == 50 and got == sorted((f(a) for a in c), reverse=way < 0)[:50], (key, got)
		ordered("max", lambda a: digits(a["max"]), -1)
		ordered("max up", lambda a: digits(a["max"]), 1)
		ordered("latent", lambda a: a["latent"], 1)
		ordered("level", lambda a: a["level"] or 1e9, 1)
		assert said["aria"] == "ascending"
		has = lambda *kinds: {a["latent"] for a in c if all(any(e["label"] == k for e in a["examples"]) for k in kinds)}
		assert set(numbers("label")) == set(sorted(has("kind-3"))[:50]) and set(numbers("both")) == set(sorted(has("kind-3", "kind-4"))[:50])
		assert 0 < len(numbers("both")) < n and said["none"] == f"0 of {n}|Nothing matches."
		assert set(numbers("of 5")) == {a["latent"] for a in c if a["level"] == 5} and numbers("of 5")
	E
}

@test "in a browser: the section of a concept, and hostile texts in it" {
	need_browser
	need_python
	py "$T/evil.sae" <<-'E'
		import sys
		from sae import *
		evil = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>&amp;", "</script><script>document.title='no'</script>", "a\u202eb\x1b[31m\n", "<!--"]
		z = np.triu(np.ones((5, 5), "<f4")) + np.eye(5, dtype="<f4")
		write(sys.argv[1], stream({"z": sparse(z), "id": evil, "label": evil[::-1]}, concepts=[{"latent": i, "name": e, "score": .25 + i, "ratio": 2} for i, e in enumerate(evil)]))
	E
	ok report --html "$T/evil.html" --title "</title><script>document.title='no'</script>" -i "$T/evil.sae"
	ok report --json -i "$T/evil.sae" -o "$T/json"
	act "$T/evil.html#latent-2" <<-'E'
		const $ = s => document.querySelector(s), texts = (s, i) => [...document.querySelectorAll(s)].map(r => JSON.stringify(r.cells[i].textContent)).join(' ');
		say('shown', !$('#one').hidden);
		say('name', $('#one h3').textContent);
		say('facts', $('#one .facts').textContent);
		say('bars', [...document.querySelectorAll('#one .hist i')].map(e => e.dataset.n || 0).join(' '));
		say('rows', texts('#one .parts > div:nth-child(2) tbody tr', 0));
		say('with', texts('#one .parts > div:nth-child(3) tbody tr', 0));
		say('overlap', texts('#one .parts > div:nth-child(3) tbody tr', 1));
		say('scripts', document.querySelectorAll('script').length, document.querySelectorAll('img').length, document.title.length > 10);
		location.hash = '#latent-0';
		dispatchEvent(new HashChangeEvent('hashchange'));
		say('other', $('#one h3').textContent);
		location.hash = '#latent-77';
		dispatchEvent(new HashChangeEvent('hashchange'));
		say('none', $('#one').hidden);
	E
	sed -i 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' "$T/said"
	py "$T/json" "$T/said" <<-'E'
		import json, sys
		c = {a["latent"]: a for a in json.load(open(sys.argv[1]))["codes"]["active_latents"]}
		said = dict(l.rstrip("\n").split("|", 1) for l in open(sys.argv[2]) if "|" in l)
		quoted = lambda texts: " ".join(json.dumps(t, ensure_ascii=False) for t in texts)
		a = c[2]
		assert said["shown"] == "true" and said["name"] == a["name"], said
		assert all(t in said["facts"] for t in ("cosine 2.25", "ratio 2.00", "rows 3 (60.0 %)", "max 2.00")), said["facts"]
		assert said["bars"] == " ".join(map(str, a["histogram"]["rows"]))
		assert said["rows"] == quoted(e["id"] for e in a["examples"]), (said["rows"], quoted(e["id"] for e in a["examples"]))
		assert said["with"] == quoted(t["name"] for t in a["together"]) and len(a["together"]) > 1, said["with"]
		assert said["overlap"] == quoted(f"{t['overlap']:.2f}" for t in a["together"])
		assert said["scripts"] == "3|0|true", said["scripts"]
		assert said["other"] == c[0]["name"] and said["none"] == "true"
	E
}
