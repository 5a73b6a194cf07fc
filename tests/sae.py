"""What the tests need in Python, written from docs/FORMAT.md alone: streams
read and written with msgpack, model files, and the arithmetic in float64.

As a program:  sae.py rebatch IN OUT ROWS     the same rows in other frames
               sae.py same A B [RTOL]         the same rows, whatever the frames
               sae.py strange IN OUT          adds what no program knows
               sae.py strange-in A B          is all of that still there?
               sae.py pack TEXT... DIR        `frames --pack` into DIR, the foreign way
"""
import json
import os
import struct
import sys

import msgpack
import numpy as np


# ---- streams ----

def frames(path):
    """Every frame of a file as a dict."""
    with open(path, "rb") as f:
        data = f.read()
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=len(data) + 1)
    unpacker.feed(data)
    out = list(unpacker)
    assert unpacker.tell() == len(data), f"{path}: ends in the middle of a frame"
    return out


def write(path, frames):
    with open(path, "wb") as f:
        for frame in frames:
            f.write(msgpack.packb(frame, use_bin_type=True))


def tensor(a):
    """A dense column, a list of strings, or a (ptr, idx, values, width)."""
    if isinstance(a, list):
        return {"dtype": "str", "shape": [len(a)], "data": a}
    if isinstance(a, tuple):
        ptr, idx, val, width = a
        return {"dtype": "<f4", "shape": [len(ptr) - 1, width], "ptr": np.asarray(ptr, "<u4").tobytes(),
                "idx": np.asarray(idx, "<u4").tobytes(), "data": np.asarray(val, "<f4").tobytes()}
    a = np.ascontiguousarray(a)
    return {"dtype": a.dtype.str, "shape": list(a.shape), "data": a.tobytes()}


def sparse(z):
    """Rows with zeros as CSR."""
    at = [np.flatnonzero(row) for row in z]
    ptr = np.cumsum([0] + [len(i) for i in at])
    return ptr, np.concatenate(at + [np.zeros(0, int)]), np.concatenate([r[i] for r, i in zip(z, at)] + [np.zeros(0)]), z.shape[1]


def declared(col):
    return {"dtype": col["dtype"], "shape": col["shape"][1:]}


def stream(cols, batch=None, row=0, **head):
    """The frames of a stream with these columns (arrays, lists, CSR tuples)."""
    cols = {k: tensor(v) for k, v in cols.items()}
    n = next(iter(cols.values()))["shape"][0]
    yield {"sae": 1, "kind": "head", "stream": "made-in-python", "cols": {k: declared(c) for k, c in cols.items()}, "prov": [], **head}
    yield from cut(cols, n, batch or max(n, 1), row)


def cut(cols, n, batch, row=0):
    seq = 0
    for at in range(0, n, batch):
        to = min(n, at + batch)
        yield {"sae": 1, "kind": "rows", "seq": seq, "row": row + at, "n": to - at,
               "cols": {k: part(c, at, to) for k, c in cols.items()}}
        seq += 1
    yield {"sae": 1, "kind": "end", "frames": seq, "rows": n}


def part(c, at, to):
    """Rows at..to-1 of a column's map."""
    c = dict(c)
    if "ptr" in c:
        ptr = np.frombuffer(c["ptr"], "<u4")
        lo, hi = int(ptr[at]) * 4, int(ptr[to]) * 4
        c["ptr"] = (ptr[at:to + 1] - ptr[at]).astype("<u4").tobytes()
        c["idx"], c["data"] = c["idx"][lo:hi], c["data"][lo:hi]
    elif c["dtype"] == "str":
        c["data"] = c["data"][at:to]
    else:
        size = len(c["data"]) // max(c["shape"][0], 1)
        c["data"] = c["data"][at * size:to * size]
    c["shape"] = [to - at] + list(c["shape"][1:])
    return c


def join(parts):
    """Columns of several frames as one map."""
    first = {k: v for k, v in parts[0].items() if k not in ("pad", "pad2", "pad3")}
    first["shape"] = [sum(p["shape"][0] for p in parts)] + list(first["shape"][1:])
    if "ptr" in first:
        base, ptrs = 0, [np.zeros(1, "<u4")]
        for p in parts:
            ptr = np.frombuffer(p["ptr"], "<u4")
            ptrs.append(ptr[1:] + np.uint32(base))
            base += int(ptr[-1])
        first["ptr"] = np.concatenate(ptrs).astype("<u4").tobytes()
        first["idx"] = b"".join(p["idx"] for p in parts)
        first["data"] = b"".join(p["data"] for p in parts)
    elif first["dtype"] == "str":
        first["data"] = [s for p in parts for s in p["data"]]
    else:
        first["data"] = b"".join(p["data"] for p in parts)
    return first


def check(all_frames):
    """Whole, by the rules of FORMAT.md (sums aside)? One stream only."""
    head, end = all_frames[0], all_frames[-1]
    rows = [f for f in all_frames if f["kind"] == "rows"]
    assert all(f["sae"] == 1 and next(iter(f)) == "sae" for f in all_frames), "a frame that does not begin with sae"
    assert head["kind"] == "head" and end["kind"] == "end", "no head or no end"
    assert [f["seq"] for f in rows] == list(range(len(rows))), "seq"
    assert (end["frames"], end["rows"]) == (len(rows), sum(f["n"] for f in rows)), "counts of the end"
    for f, g in zip(rows, rows[1:]):
        assert f["row"] + f["n"] == g["row"], "row numbers"
    return head, rows


def load(path):
    """head, {column: array (sparse: dense array) or list of strings} of a whole stream."""
    head, rows = check(frames(path))
    cols = {}
    names = rows[0]["cols"] if rows else head["cols"]
    for name in names:
        if not rows:
            d = head["cols"][name]
            cols[name] = [] if d["dtype"] == "str" else np.zeros([0] + d["shape"], d["dtype"])
            continue
        cols[name] = array(join([f["cols"][name] for f in rows]))
    return head, cols


def array(c):
    if c["dtype"] == "str":
        return c["data"]
    data = np.frombuffer(c["data"], c["dtype"])
    if "ptr" not in c:
        return data.reshape(c["shape"])
    ptr, idx = np.frombuffer(c["ptr"], "<u4"), np.frombuffer(c["idx"], "<u4")
    dense = np.zeros(c["shape"], "f4")
    for i in range(c["shape"][0]):
        dense[i, idx[ptr[i]:ptr[i + 1]]] = data[ptr[i]:ptr[i + 1]]
    return dense


def rebatch(src, dst, batch):
    head, rows = check(frames(src))
    cols = {k: join([f["cols"][k] for f in rows]) for k in rows[0]["cols"]}
    write(dst, [head, *cut(cols, sum(f["n"] for f in rows), batch, rows[0]["row"])])


def same(a, b, rtol=0.0):
    (_, x), (_, y) = load(a), load(b)
    assert list(x) == list(y), f"columns {list(x)} and {list(y)}"
    for k in x:
        if isinstance(x[k], list):
            assert x[k] == y[k], f"column {k} differs"
        elif rtol:
            np.testing.assert_allclose(x[k], y[k], rtol=rtol, atol=rtol, err_msg=k)
        else:
            assert x[k].shape == y[k].shape and x[k].tobytes() == y[k].tobytes(), f"column {k} differs"


# ---- what no program knows ----

def strange_columns(n):
    return {
        "depth": tensor(np.arange(n * 6, dtype="<i8").reshape(n, 2, 3)),
        "half": tensor(np.arange(n, dtype="<f2") / 8),
        "when": {"dtype": "<M8[s]", "shape": [n], "data": bytes(range(n)) * 8},
        "tags": {**tensor([f"t{i} \u2713" for i in range(n)]), "language": "none"},
        "odd": {"what": [1, 2.5, None, {"deep": b"\x00\x01"}]},
        "list": [1, 2, 3],
    }


def strange(src, dst):
    out = []
    for f in frames(src):
        if f["kind"] == "head":
            f = {**f, "note": {"by": "hand", "n": [1, -2, 2**63 + 5, 0.5, True, None]}, "bytes": b"\x00\xff"}
        if f["kind"] == "rows":
            f = {**f, "cols": {"first": tensor(np.ones(f["n"], "<u2")), **f["cols"], **strange_columns(f["n"])}, "clock": 17, "mark": {"a": b"b"}}
            f["cols"]["id"] = {**f["cols"]["id"], "unit": "none"}
        if f["kind"] == "end":
            out.append({"sae": 1, "kind": "comment", "text": "of a kind nobody knows", "x": b"\x01"})
            f = {k: v for k, v in f.items() if k != "sum"}
        out.append(f)
    write(dst, out)


def strange_in(src, dst):
    a, b = frames(src), frames(dst)
    assert [f["kind"] for f in a] == [f["kind"] for f in b], [f["kind"] for f in b]
    for f, g in zip(a, b):
        for key in set(f) - {"cols", "prov", "norm", "l2", "model", "concepts", "sum"}:
            assert g.get(key) == f[key], f"{f['kind']}: key {key} became {g.get(key)!r}"
        if f["kind"] == "rows":
            for name in ["first", "id", *strange_columns(1)]:
                c = g["cols"].get(name)
                if isinstance(c, dict):
                    c = {k: v for k, v in c.items() if k not in ("pad", "pad2", "pad3")}
                assert c == f["cols"][name], f"column {name} became {c!r}"


# ---- text ----

def pack(src, dst):
    """Lines of `frames --text --rows`; also those that `frames --pack` refuses."""
    out = []
    with open(src, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("#") and line.strip():
                out.append(unjson(json.loads(line)))
    write(dst, out)


def unjson(v):
    if isinstance(v, list):
        return [unjson(x) for x in v]
    if not isinstance(v, dict):
        return v
    if len(v) == 1 and "$bin" in v:
        return bytes.fromhex(v["$bin"])
    if len(v) == 1 and "$uint" in v:
        return int(v["$uint"])
    number = v.get("dtype", "str")[:1] in "<|"
    out = {}
    for key, x in v.items():
        if number and isinstance(x, list) and key in ("ptr", "idx"):
            x = np.array(x, "<u4").tobytes()
        elif number and isinstance(x, list) and key == "data":
            x = np.array(x, v["dtype"]).tobytes()
        elif key == "sum" and isinstance(x, str):
            x = int(x, 16)
        else:
            x = unjson(x)
        out[key] = x
    return out


# ---- models ----

def read_model(path):
    """{name: array}, metadata of a safetensors file."""
    with open(path, "rb") as f:
        raw = f.read()
    n, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    meta = header.pop("__metadata__", {})
    types = {"F32": "<f4", "F64": "<f8", "F16": "<f2"}
    out = {}
    for k, t in header.items():
        a, b = t["data_offsets"]
        out[k] = np.frombuffer(raw[8 + n + a:8 + n + b], types[t["dtype"]]).reshape(t["shape"])
    return out, meta


def write_model(path, tensors, **meta):
    meta = {"format": "msae", "version": "1", "architecture": "msae", **{k: str(v) for k, v in meta.items()}}
    header, data = {"__metadata__": meta}, b""
    for k, a in tensors.items():
        a = np.ascontiguousarray(a, "<f4")
        header[k] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [len(data), len(data) + a.nbytes]}
        data += a.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def random_model(d, m, seed=0, threshold=False):
    r = np.random.default_rng(seed)
    t = {"W_enc": r.normal(size=(d, m)) / d**.5, "b_enc": r.normal(size=m) / 4, "W_dec": r.normal(size=(m, d)) / d**.5,
         "b_dec": r.normal(size=d) / 4, "mean": r.normal(size=d), "scale": [1.7]}
    if threshold:
        t["threshold"] = abs(r.normal(size=m)) / 2
    return {k: np.asarray(v, "f4") for k, v in t.items()}


def keep(z, k, by=None):
    """The k largest of each row (by magnitude with by=abs), ties to the lowest index."""
    by = by or (lambda v: v)
    out = np.zeros_like(z)
    for i, row in enumerate(z):
        best = np.argsort(-by(row), kind="stable")[:k]
        out[i, best] = row[best]
    return out


def encode(model, x, k=0, cap=0.0):
    t = {n: a.astype("f8") for n, a in model.items()}
    p = (x.astype("f8") - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
    z = np.where(p > t.get("threshold", 0), np.maximum(p, 0), 0)
    z = keep(z, k) if k else z
    return cap * np.tanh(z / cap) if cap else z


def decode(model, z):
    return z.astype("f8") @ model["W_dec"].astype("f8") + model["b_dec"].astype("f8")


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    try:
        if what == "rebatch":
            rebatch(args[0], args[1], int(args[2]))
        elif what == "same":
            same(args[0], args[1], float(args[2]) if len(args) > 2 else 0.0)
        elif what == "strange":
            strange(*args)
        elif what == "strange-in":
            strange_in(*args)
        elif what == "pack":
            for src in args[:-1]:
                pack(src, os.path.join(args[-1], os.path.basename(src).removesuffix(".txt")))
        else:
            sys.exit(f"sae.py: {what}: what?")
    except AssertionError as why:
        sys.exit(f"sae.py: {what} {' '.join(args)}: {why}")
