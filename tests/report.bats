# report: the numbers, the names, and that hostile text stays text.

load helper

setup_file() {
	pick_python
	mkdir "$BATS_FILE_TMPDIR/world"
	cd "$BATS_FILE_TMPDIR/world"
	small_world
	[[ -n $PYTHON ]] || return 0
	py <<-'E'
		from sae import *
		r = np.random.default_rng(8)
		z = np.maximum(r.normal(size=(100, 30)) - .8, 0).astype("<f4")
		z[:, 4] = 0                      # never active
		z[:, 5] = 1 + np.arange(100) % 3 # always
		z[17] = 0
		z[17, 5] = 9
		x = r.normal(size=(100, 6)).astype("<f4")
		label = [["cat", "dog", "bird"][min(i % 5, 2)] for i in range(100)]
		names = [{"latent": 5, "name": "always here", "valid": True, "score": .5, "ratio": 2.25}, {"latent": 2, "name": "second", "valid": True, "score": 1, "ratio": "two"}, {"latent": 3, "name": "not valid", "valid": False}]
		write("facts.sae", stream({"x": x, "z": sparse(z), "id": [f"file-{i}.jpg" for i in range(100)], "label": label}, batch=33, row=1000,
		                          model="cd" * 32, concepts=names, norm={"how": "fit", "mean": tensor(np.zeros(6, "<f4")), "scale": tensor(np.ones(1, "<f4"))}))
		evil = "<script>alert(1)</script>"
		worse = "\"'><img src=x onerror=alert(2)>&amp;"
		write("evil.sae", stream({"x": x[:3], "z": sparse(z[:3]), "id": [evil, worse, "a\u202eb\x1b[31m\n"], "label": [evil, worse, "</td></table>"]}, model=evil,
		                         concepts=[{"latent": 5, "name": evil, "valid": True}, *({"latent": i, "name": worse, "valid": True} for i in (0, 1, 2))],
		                         norm={"how": evil, "mean": tensor(np.zeros(6, "<f4")), "scale": tensor(np.ones(1, "<f4"))}))
		f = frames("evil.sae")
		f[0]["stream"] = worse
		f[0]["prov"] = [{"program": evil, "version": evil, "command": evil}]
		f[0]["cols"][evil] = {"dtype": worse[:14], "shape": [1]}
		f[1]["cols"]["<b>"] = tensor(x[:3])
		write("evil.sae", f)
	E
}

setup() {
	cd "$BATS_FILE_TMPDIR/world"
	T=$BATS_TEST_TMPDIR
}

@test "--json has the numbers numpy has" {
	need_python
	ok report --json -i facts.sae -o "$T/json"
	py "$T/json" <<-'E'
		import sys
		from sae import *
		head, c = load("facts.sae")
		r = json.load(open(sys.argv[1]))
		z, x = c["z"].astype("f8"), c["x"].astype("f8")
		near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
		assert (r["rows"], r["frames"], r["streams"]) == (100, 6, 1)
		assert r["stream"] == head["stream"] and r["model"] == "cd" * 32 and r["normalised"] == "fit"
		assert [(k["name"], k["dtype"]) for k in r["columns"]] == [("x", "<f4"), ("z", "<f4"), ("id", "str"), ("label", "str")]
		assert r["stages"] == []
		d, = r["dense"]
		norms = np.linalg.norm(x, axis=1)
		assert d["column"] == "x" and d["width"] == 6
		near([d["norm"]["mean"], d["norm"]["sd"], d["norm"]["min"], d["norm"]["max"]], [norms.mean(), norms.std(ddof=1), norms.min(), norms.max()])
		near(d["norm_of_mean"], np.linalg.norm(x.mean(0)))
		assert sorted((k["label"], k["rows"]) for k in r["labels"]) == [("bird", 60), ("cat", 20), ("dog", 20)] and r["labels"][0]["label"] == "bird"
		k, l0 = r["codes"], (z != 0).sum(1)
		assert (k["latents"], k["active"], k["never_active"], k["always_active"], k["named"]) == (30, 29, 1, 1, 2)
		near(k["sparsity"], (z == 0).mean())
		near([k["l0"]["mean"], k["l0"]["sd"]], [l0.mean(), l0.std(ddof=1)])
		assert (k["l0"]["min"], k["l0"]["max"]) == (l0.min(), l0.max()) == (1, l0.max())
		assert abs(k["l0"]["median"] - np.median(l0)) <= .2 * np.median(l0)
		assert [a["latent"] for a in k["active_latents"]] == [j for j in range(30) if j != 4]
		for a in k["active_latents"]:
		    v = z[:, a["latent"]]
		    on = v[v != 0]
		    assert a["rows"] == len(on)
		    near([a["frequency"], a["mean"], a["max"]], [len(on) / 100, on.mean(), on.max()])
		    assert a["name"] == {5: "always here", 2: "second"}.get(a["latent"])
		    best = np.argsort(-v, kind="stable")[:len(a["examples"])]
		    assert len(a["examples"]) == min(8, len(on))
		    assert [e["row"] for e in a["examples"]] == [1000 + i for i in best] and [e["id"] for e in a["examples"]] == [f"file-{i}.jpg" for i in best]
		    near([e["value"] for e in a["examples"]], v[best])
		    assert (a["score"], a["ratio"]) == {5: (.5, 2.25), 2: (1, None)}.get(a["latent"], (None, None))
		    h = a["histogram"]
		    assert np.log2(h["width"]) % 1 == 0 and 16 <= v.max() / h["width"] < 32 and h["negative"] == 0, h
		    assert h["rows"] == np.bincount((on / h["width"]).astype(int)).tolist()
		assert k["l0"]["rows"] == [[i, n] for i, n in enumerate(np.bincount(l0)) if n]
		# what fires together, in all of the rows and codes, there being few
		fires = (z != 0).astype(int)
		both, each = fires.T @ fires, fires.sum(0)
		assert k["together_rows"] == 100
		for a in k["active_latents"]:
		    i = a["latent"]
		    assert a["fired"] == each[i]
		    want = [(j, both[i, j], both[i, j] / (each[i] * each[j])**.5, both[i, j] * 100 / (each[i] * each[j])) for j in range(30) if each[j] and j != i]
		    want = sorted((t for t in want if t[1] > 1 and t[3] > 1 + 1e-9), key=lambda t: (-round(t[2], 12), t[0]))[:8]
		    got = [(t["latent"], t["rows"], t["overlap"], t["lift"]) for t in a["together"] if t["lift"] > 1 + 1e-9]
		    assert [t[:2] for t in got] == [t[:2] for t in want], (i, got, want)
		    near([t[2:] for t in got], [t[2:] for t in want])
		    assert all(t["name"] == {5: "always here", 2: "second"}.get(t["latent"]) for t in a["together"])
		assert len(r["examples"]) == 6
		for i, e in enumerate(r["examples"]):
		    best = np.argsort(-z[i], kind="stable")[:len(e["strongest"])]
		    assert len(best) >= min(4, l0[i])
		    assert (e["row"], e["id"], e["label"], e["l0"]) == (1000 + i, f"file-{i}.jpg", c["label"][i], l0[i])
		    assert [s["latent"] for s in e["strongest"]] == list(best), (i, e["strongest"], best)
		    near([s["value"] for s in e["strongest"]], z[i][best])
	E
}

@test "--json of every kind of stream is JSON" {
	need_python
	sae-encode -m m.msae --keep -i x.sae | sae-decode --keep -m m.msae >"$T/all.sae"
	read-embeddings raw.npy --limit 0 >"$T/none.sae"
	sae-encode -m m.msae -i x.sae | frames --text --rows | sed -n '1p;$s/"frames".*/"frames":0,"rows":0}/p' | frames --pack >"$T/nocodes.sae"
	cat named.sae named.sae >"$T/two.sae"
	for case in raw.sae x.sae z.sae named.sae facts.sae evil.sae "$T"/*.sae; do
		for options in "" "--top 0" "--top 1000000" "--examples 0" "--examples 64" "--title <b>"; do
			ok report --json $options -i "$case" -o "$T/json"
			"$PYTHON" -m json.tool "$T/json" >/dev/null || problem "$options: no JSON"
			ok report $options -i "$case"
			ok report --html "$T/html" $options -i "$case"
			[[ ! -s $OUT ]] || problem "--html alone writes text too"
		done
	done
	refused 64 report --json --text -i z.sae
}

@test "text: stages, columns, codes, names and example rows" {
	ok report -i named.sae
	for want in "40 rows\|rows           40" "plant-embeddings --rows=40" "normalize --model=m.msae" "sae-encode --model=m.msae" "concept-score" "Codes" "Most frequent concepts" "Example rows" "row-0"; do
		grep -q -e "$want" "$OUT" || problem "has no \"$want\""
	done
	name=$(grep -o '"name": *"[^"]*"' names.json | head -n 1 | sed 's/.*: *"\(.*\)"/\1/')
	grep -qF "$name" "$OUT" || problem "has no \"$name\""
	! grep -nE '.{200}' "$OUT" || problem "lines longer than 200"
	! grep -nE '[[:space:]]$' "$OUT" || problem "white space at line ends"
	ok report -i z.sae
	grep -q "Most frequent latents" "$OUT" || problem "unnamed: has no \"Most frequent latents\""
	! grep -qF "$name" "$OUT" || problem "unnamed: has a name"
	ok report -i named.sae --title 'My title' --top 1 --examples 1
	[[ $(head -n 1 "$OUT") == "My title" ]] || problem "begins with $(head -n 1 "$OUT")"
	grep -q "row-0" "$OUT" && ! grep -q "^ *row-1 " "$OUT" || problem "--examples 1 shows others"
}

@test "names that are not valid are not shown" {
	need_python
	for how in --text --json "--html $T/html"; do
		ok report $how -i facts.sae
		[[ $how != --html* ]] || cp "$T/html" "$OUT"
		grep -q "always here" "$OUT" || problem "$how: no \"always here\""
		! grep -q "not valid" "$OUT" || problem "$how: shows \"not valid\""
	done
}

@test "html: one page, nothing from elsewhere, names and rows in it" {
	ok report --html "$T/page.html" --json -i named.sae -o "$T/json"
	ok report --html "$T/again.html" -i named.sae
	same "$T/page.html" "$T/again.html"
	[[ $(head -n 1 "$T/page.html") == "<!doctype html>" ]] || problem "no doctype"
	! grep -nEi '(<[^>]* (src|action)=|url\(|@import|https?:|//[a-z])' "$T/page.html" || problem "refers to something elsewhere"
	grep -q "default-src 'none'" "$T/page.html" || problem "would let something be fetched"
	for want in "row-0" "sae-encode --model=m.msae" "<title>" "<svg" "charset=utf-8" "<noscript>"; do
		grep -qF "$want" "$T/page.html" || problem "has no \"$want\""
	done
	grep -oE '"name": *"[^"]*"' "$T/json" | sed 's/.*: *"\(.*\)"/\1/' | sort -u >"$T/names"
	[[ $(wc -l <"$T/names") -gt 5 ]] || problem "only $(wc -l <"$T/names") names"
	while read -r name; do
		grep -qF ">$name<" "$T/page.html" || problem "has no \"$name\""
	done <"$T/names"
}

@test "html: elements are closed, ids are unique, one script and its data" {
	need_python
	for f in named.sae facts.sae evil.sae raw.sae; do
		ok report --html "$T/page.html" -i $f
		py "$T/page.html" <<-'E'
			import json, sys
			from html.parser import HTMLParser
			void, optional = {"meta", "img"}, {"td", "th", "li", "p", "tr", "dt", "dd"}
			class Page(HTMLParser):
			    stack, ids, scripts, tags, data = [], [], [], set(), ""
			    def handle_starttag(self, tag, attrs):
			        self.tags.add(tag)
			        self.scripts += [dict(attrs).get("type")] if tag == "script" else []
			        self.ids += [v for k, v in attrs if k == "id"]
			        assert not any(k.startswith("on") or k == "src" or (k == "href" and not v.startswith("#latent-")) for k, v in attrs), (tag, attrs)
			        if tag not in void:
			            self.stack.append(tag)
			    def handle_startendtag(self, tag, attrs):
			        assert tag in ("rect", "line", "text", "path", "circle"), tag
			        self.tags.add(tag)
			    def handle_endtag(self, tag):
			        while self.stack and self.stack[-1] != tag and self.stack[-1] in optional:
			            self.stack.pop()
			        assert self.stack and self.stack[-1] == tag, (tag, self.stack, self.getpos())
			        self.stack.pop()
			    def handle_data(self, text):
			        if self.stack and self.stack[-1] == "script" and self.scripts == ["application/json"]:
			            self.data += text
			p = Page()
			p.feed(open(sys.argv[1], encoding="utf-8").read())
			assert not p.stack, p.stack
			assert not p.stack and len(p.ids) == len(set(p.ids))
			assert p.scripts in (["application/json", None], [None])
			if p.data:
			    data = json.loads(p.data)
			    assert len(data["concepts"]) == data["active"] + 1 and {len(c) for c in data["concepts"][1:]} == {13}
			assert p.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "span", "b", "i", "bdi", "table", "thead", "tbody", "tr", "th", "td", "ol", "li", "dl", "dt", "dd",
			                  "code", "p", "a", "details", "summary", "figure", "figcaption", "noscript", "svg", "rect", "line", "text", "script"}, p.tags
		E
	done
}

@test "hostile ids, labels, names and provenance stay text" {
	need_python
	ok report --html "$T/page.html" --title '<script>alert(3)</script>' -i evil.sae
	! grep -nE '<script>alert|<img|</td></table>' "$T/page.html" || problem "not escaped"
	! LC_ALL=C.UTF-8 grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$T/page.html" || problem "control characters in the page"
	[[ $(grep -oi '</script' "$T/page.html" | wc -l) -eq 2 ]] || problem "a text ends a script"
	for want in '\u003cscript\u003ealert(1)\u003c/script\u003e' '\u003cimg src=x onerror=alert(2)\u003e\u0026amp;'; do
		grep -qF -e "$want" "$T/page.html" || problem "has no $want"
	done
	for want in '&lt;script&gt;alert(1)&lt;/script&gt;' '&lt;script&gt;alert(3)' 'onerror=alert(2)&gt;&amp;amp;' '&lt;/td&gt;&lt;/table&gt;'; do
		grep -qF -e "$want" "$T/page.html" || problem "has no $want"
	done
	for how in --text --json; do
		ok report $how -i evil.sae
		! grep -qP '\x1b|\x{202e}' "$OUT" || problem "$how: control characters"
	done
	ok report -i evil.sae
	! LC_ALL=C.UTF-8 grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$OUT" || problem "control characters in text"
	ok frames -i evil.sae
	! LC_ALL=C.UTF-8 grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$OUT" || problem "control characters from frames"
}

@test "a report that fails leaves no page" {
	head -c -1 z.sae >"$T/cut"
	refused 65 report --html "$T/page.html" -i "$T/cut"
	[[ ! -e $T/page.html ]] || problem "a page of half a stream"
	refused 73 report --html "$T/no/such/dir/page.html" -i z.sae
	says "page.html"
	refused 73 report --html "$T" -i z.sae
}

@test "memory does not grow with the rows" {
	! grep -q __asan_init "$(command -v report)" || skip "an address sanitizer keeps memory"
	peak() { # ROWS: what report -v says it took, in MB
		plant-embeddings --rows "$1" --dim 8 --concepts 12 --active 3 --truth "$T/m.msae" -o "$T/raw"
		normalize -m "$T/m.msae" -i "$T/raw" | sae-encode -m "$T/m.msae" -k 4 | report -v -t 2 2>&1 >"$OUT" | grep -o 'peak [0-9]*' | tr -dc '0-9'
	}
	small=$(peak 60000) large=$(peak 600000)
	[[ $large -le $((small + 4)) ]] || problem "$small MB for 60000 rows, $large MB for 600000"
}
