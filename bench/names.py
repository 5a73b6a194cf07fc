"""bench/names' figures: names.py all|best DIR VALID.npy LABELS WORDS.npy WORDS.txt, where DIR has z.npy
(codes of the rows, [n,m]) and N.json, N.title for each way of naming."""
import glob
import json
import re
import sys

import numpy as np

WRONG = 0.1  # an AP below this is that of another concept


def plain(name):
    """soccer_ball, "Soccer ball", "crab_(animal)" -> soccer ball, crab"""
    return re.sub(r" \(.*\)$", "", name.lower().replace("_", " "))


def lines(path):
    return [line.rstrip("\n") for line in open(path, encoding="utf-8")]


def average_precision(score, relevant):
    """Mean precision at each relevant row; of equal scores all come together."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    hits, seen = np.cumsum(relevant[order])[last], np.flatnonzero(last) + 1
    return float((np.diff(hits, prepend=0) * hits / seen).sum() / hits[-1])


def unit(a):
    return a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)


what, d, valid, labels, words, texts = sys.argv[1:]
z = np.load(f"{d}/z.npy", mmap_mode="r")
classes = np.array([plain(name.split("/", 1)[-1]) for name in lines(labels)])
texts = lines(texts)
assert len(classes) == len(z), f"{len(classes)} labels, {len(z)} rows"
known = sorted(set(map(plain, texts)) & set(classes))
rows = {c: classes == c for c in known}
aps = {}


def ap(latent, c):
    if (latent, c) not in aps:
        aps[latent, c] = average_precision(np.asarray(z[:, latent]), rows[c])
    return aps[latent, c]


def mean(values, digits=".2f"):
    return format(np.mean(values), digits) if len(values) else "-"


def nearest(concepts):
    """AP of the latent nearest to each class's word, however near."""
    best = {}
    for k in concepts:
        for text, cosine in k["words"]:
            c = plain(text)
            if c in rows and cosine > best.get(c, (-2, 0))[0]:
                best[c] = cosine, k["latent"]
    return [ap(best[c][1], c) if c in best else 0 for c in known]


print(f"{len(z)} rows of {len(set(classes))} classes; {len(texts)} words, {len(known)} of them the name of a class; {z.shape[1]} latents")
x, w = unit(np.load(valid).astype("f4")), unit(np.load(words).astype("f4"))
own = [max(average_precision(x @ w[i], rows[c]) for i, t in enumerate(texts) if plain(t) == c) for c in known]
print(f"sorted by the word's own embedding those classes have a mean AP of {mean(own)}; by the best latent there is, of "
      f"{mean([max(ap(j, c) for j in np.argsort(-z[rows[c]].mean(0))[:50]) for c in known])}\n")
print(f"{'':72s} valid   their  from | those named after a class           | 40 nearest | nearest\n"
      f"{'':72s} latents words cosine| latents classes  AP   a class  wrong | to a class | to each word")
for n in range(len(glob.glob(f"{d}/*.json"))):
    title = open(f"{d}/{n}.title").read().rstrip("\n")
    f = json.load(open(f"{d}/{n}.json"))
    named = [k for k in f["concepts"] if k["valid"]]
    of_class = sorted((k for k in f["concepts"] if plain(k["name"]) in rows), key=lambda k: -k["score"])
    got = [ap(k["latent"], plain(k["name"])) for k in of_class if k["valid"]]
    of = np.array([plain(k["name"]) for k in of_class if k["valid"]])
    each = [np.mean(np.array(got)[of == c]) for c in set(of)]
    wrong = f"{100 * np.mean(np.array(got) < WRONG):.0f} %" if got else "-"
    print(f"{title:72s} {len(named):6d}  {len({k['name'] for k in named}):5d}  {f['how'].get('min_sim', float('nan')):.3f} |"
          f" {len(got):6d} {len(each):7d}  {mean(got):>4s}   {mean(each):>4s}   {wrong:>5s} |"
          f"    {mean([ap(k['latent'], plain(k['name'])) for k in of_class[:40]]):>4s}    |   {mean(nearest(f['concepts'])):>4s}")
if what == "best":
    print("\n  score   latents named after a class    AP  wrong")
    at = [(k["score"], ap(k["latent"], plain(k["name"]))) for k in of_class]
    for lo in np.arange(.1, .5, .04):
        some = np.array([a for s, a in at if lo <= s < lo + .04])
        if len(some):
            print(f"  {lo:.2f} to {lo + .04:.2f}   {len(some):5d}   {'':20s} {mean(some)}  {100 * np.mean(some < WRONG):3.0f} %")
