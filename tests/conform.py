"""Runs models against what their own libraries made of them.

  conform.py dev FOLDER       each folder NAME/ with case.json, input.npy, codes.npy,
                              recon.npy and the checkpoint
  conform.py hostile FOLDER   index.json says which files must be refused

Prints a line a case that is wrong, and how many there were; exits 1 if any."""
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata

import numpy as np

# what a file does not say, or another reading of it: settings for sae-convert
SET = {
    "overcomplete_topk": [("", ["k=7"], [])],
    "overcomplete_sae_max_l2": [("", ["normalization=max_l2"], [])],
    "dl_autoencoder_april": [("_normdec", ["normalize_decoder=true"], [])],
    "dl_backup_topk_norm_factor": [("_unscaled", ["scale_biases=false"], [])],
    "dl_topk": [("_threshold", ["use_threshold=true"], [])],
    "dl_matryoshka_batchtopk": [("_groups2", [], ["--groups", "2"])],
    "bart_matryoshka": [("_groups2", [], ["--groups", "2"])],
    "bart_matryoshka_unitnorm": [("_groups2", [], ["--groups", "2"])],
    "real_listcomp_old_sae": [("_topk4", [], ["-k", "4"])],
    "real_listcomp_sae_d100_k2": [("_nomean", ["act_mean=false"], [])],
    "real_listcomp_sae_d100_k4_50ksteps": [("_nomean", ["act_mean=false"], [])],
    "saelens_expected_average_checkpoint": [("_ignoring_scaler", ["scale=1"], [])],
    "sparsify_multitopk": [("_forward", ["use_multi_topk=true"], [])],
}
INSTEAD = {"overcomplete_topk", "overcomplete_sae_max_l2"}  # of the plain reading
# what read-embeddings wants to be told of files that are fine
ASKS = {"npy_nan_rows.npy": ["--nan=skip"], "npz_ok_stored_deflated.npz": ["--key", "a"], "npz_ok_savez_compressed.npz": ["--key", "x"]}
PROGRESSIVE = {"msae_rw", "msae_rw_numpy2_scalar", "msae_rw_torch2_layout", "msae_uw_softcap"}


def run(*command, limit=20, **more):
    return subprocess.run(command, capture_output=True, timeout=limit, **more)


def pipe(*commands):
    data = b""
    for c in commands:
        p = run(*c, input=data)
        if p.returncode:
            raise RuntimeError(f"{c[0]}: exit {p.returncode}: {p.stderr.decode(errors='replace').strip()}")
        data = p.stdout
    return data


def through(model, x, tmp, options=(), between=(), transcoder=False):
    """codes and reconstructions of x by the model."""
    z, xhat = os.path.join(tmp, "z.npy"), os.path.join(tmp, "xhat.npy")
    read = ["read-embeddings", "-b", "100000", x]
    if transcoder:
        codes = pipe(read, ["sae-encode", "-q", "-m", model, "--as-is", *options])
    else:
        codes = pipe(read, ["normalize", "-m", model], ["sae-encode", "-q", "-m", model, *options], *between)
    p = run("write-embeddings", "--column", "z", z, input=codes)
    assert not p.returncode, p.stderr
    back = [["sae-decode", "-m", model]] + ([] if transcoder else [["normalize", "--undo"]])
    data = codes
    for c in back + [["write-embeddings", "--column", "xhat", xhat]]:
        p = run(*c, input=data)
        if p.returncode:
            raise RuntimeError(f"{c[0]}: exit {p.returncode}: {p.stderr.decode(errors='replace').strip()}")
        data = p.stdout
    return np.load(z), np.load(xhat)


def off(got, want):
    return float(np.abs(got - want).max() / max(1, np.abs(want).max())) if want.size else 0.0


def compare(name, folder, suffix, got, tolerance):
    codes, recon = (os.path.join(folder, f"{what}{suffix}.npy") for what in ("codes", "recon"))
    z, xhat = got
    want = np.load(codes)
    if z.shape != want.shape:
        return f"codes of shape {z.shape}, expected {want.shape}", 0
    if ((z != 0) != (want != 0)).any():
        return f"{((z != 0) != (want != 0)).sum()} codes are there or not where they should not or should", 0
    worst = off(z, want)
    if os.path.exists(recon):
        want = np.load(recon)
        if xhat.shape != want.shape:
            return f"reconstruction of shape {xhat.shape}, expected {want.shape}", worst
        worst = max(worst, off(xhat, want))
    return (f"differs by {worst:.2g}" if worst > tolerance else ""), worst


def readings(name):
    """suffix of the expected files, settings, options."""
    tries = [] if name in INSTEAD else [("", [], [])]
    tries += SET.get(name, [])
    if name.startswith("msae_") and name != "msae_topk_norelu":
        tries.append(("_full", [], ["-k", "0"]))
    if name in PROGRESSIVE:
        tries.append(("_progressive", [], ["-k", "5"]))
    return tries


def dev(folder):
    bad = n = 0
    worst_of_all = 0.0
    for name in sorted(os.listdir(folder)):
        where = os.path.join(folder, name)
        with open(os.path.join(where, "case.json"), encoding="utf-8") as f:
            case = json.load(f)
        files = case["checkpoint"]
        model = os.path.join(where, files) if isinstance(files, str) else where
        tries = case.get("readings") or readings(name)
        for suffix, settings, options in tries:
            n += 1
            wide = case.get("transcoder", "transcode" in name)
            between = [["topk", "--batch", "-k", "7"]] if name == "msae_batchtopk" and not suffix else []
            with tempfile.TemporaryDirectory() as tmp:
                try:
                    used = model
                    native = os.path.join(tmp, "m.msae")
                    p = run("sae-convert", "-q", model, native, *(x for s in settings for x in ("--set", s)))
                    if p.returncode:
                        raise RuntimeError(p.stderr.decode(errors="replace").strip())
                    if settings:
                        used = native
                    got = through(used, os.path.join(where, "input.npy"), tmp, options, between, wide)
                    wrong, worst = compare(name, where, suffix, got, 1e-5)
                    worst_of_all = max(worst_of_all, worst)
                    # the same through a file of our own
                    if not wrong and used != native:
                        again = through(native, os.path.join(where, "input.npy"), tmp, options, between, wide)
                        if any((a != b).any() for a, b in zip(got, again)):
                            wrong = "the converted model gives other numbers"
                except (RuntimeError, subprocess.TimeoutExpired) as why:
                    wrong = str(why)
                if wrong:
                    bad += 1
                    print(f"{name}{suffix}: {wrong}")
    print(f"dev: {n} readings of {len(os.listdir(folder))} cases, {bad} wrong, largest difference {worst_of_all:.2g}")
    return bad


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def hostile(folder):
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
        index = json.load(f)
    bad = 0
    counts = {"refuse": 0, "accept": 0, "either": 0}
    slowest = 0.0
    for case in index["cases"]:
        path = os.path.join(folder, case["path"])
        expect = case["expect"]
        counts[expect] += 1
        rows = case["reader"].startswith("input rows")
        with tempfile.TemporaryDirectory() as tmp:
            if os.path.basename(path) == "npy_headerless_5_7.npy":
                expect = "accept"  # the name does end in _ROWS_DIM.npy
            if rows:
                command = ["read-embeddings", *ASKS.get(os.path.basename(path), []), path]
            else:
                command = ["sae-convert", path, os.path.join(tmp, "out.msae")]
            began = time.monotonic()
            try:
                p = run(*command, limit=20, cwd=tmp, preexec_fn=limited)
            except subprocess.TimeoutExpired:
                bad += 1
                print(f"{case['path']}: did not end")
                continue
            slowest = max(slowest, time.monotonic() - began)
            said = p.stderr.decode(errors="replace").strip()
            wrong = ""
            if p.returncode not in (0, 65):
                wrong = f"exit {p.returncode}"
            elif expect == "accept" and p.returncode:
                wrong = "refused"
            elif expect == "refuse" and not p.returncode:
                wrong = "accepted"
            elif p.returncode and (len(said.splitlines()) != 1 or not said.startswith(command[0] + ": ") or any(unicodedata.category(c) == "Cc" for c in said)):
                wrong = "not one clear line"
            elif p.returncode and os.listdir(tmp):
                wrong = f"left {os.listdir(tmp)}"
            elif index["canary"] in os.listdir(tmp):
                wrong = "ran what it read"
            elif expect == "accept" and not rows and case.get("expected_dir"):
                where = os.path.join(folder, case["expected_dir"])
                wrong, _ = compare(case["path"], where, "", through(path, os.path.join(where, "input.npy"), tmp), 1e-5)
            if wrong:
                bad += 1
                print(f"{case['path']}: {wrong} ({expect}: {case['why']}): {said[:300]}")
    print(f"hostile: {counts['refuse']} to refuse, {counts['accept']} to accept, {counts['either']} either, {bad} wrong, slowest {slowest:.2f} s")
    return bad


if __name__ == "__main__":
    sys.exit(1 if {"dev": dev, "hostile": hostile}[sys.argv[1]](sys.argv[2]) else 0)
