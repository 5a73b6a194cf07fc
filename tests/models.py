"""Models as other libraries save them, with what these make of rows: written from
their formulae in float64, and laid out as conform.py wants cases.

  models.py DIR       a folder a case"""
import collections
import json
import os
import struct
import sys
import types

import numpy as np

import embfiles
from embfiles import bf16, save_pt, tensor, widened

D, N, ROWS, K = 6, 15, 9, 3
relu = lambda v: np.maximum(v, 0)
OD = collections.OrderedDict


# ---- rules ----

def first(z, k, by=None):
    """The k first of each row, ties to the lowest latent."""
    by = z if by is None else by
    out = np.zeros_like(z)
    for row, order, to in zip(z, by, out):
        best = np.argsort(-order, kind="stable")[:k]
        to[best] = row[best]
    return out


def layer(x):
    mu, sd = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True)
    return (x - mu) / (sd + 1e-5), lambda y: y * sd + mu


def length(x):
    by = np.sqrt(x.shape[1]) / np.linalg.norm(x, axis=1, keepdims=True)
    return x * by, lambda y: y / by


def lista(p, k, W, eta, steps):
    a = first(relu(p), 4 * k)
    G = W @ W.T
    np.fill_diagonal(G, 0)
    for _ in range(steps):
        a = np.where(a > 0, relu(a - eta * (a @ G)), 0)
    return first(a, k)


def groupmax(p, k):
    out = np.zeros_like(p)
    for g in range(k):
        at = slice(g * N // k, (g + 1) * N // k)
        out[:, at] = first(relu(p[:, at]), 1)
    return out


# ---- numbers ----

class Numbers:
    """Of one case: weights as float32, read as float64."""

    def __init__(self, seed):
        r = self.r = np.random.default_rng(seed)
        f = lambda *s: r.normal(size=s).astype("f4")
        self.E, self.W = f(D, N) / 2, f(N, D)
        self.W /= np.linalg.norm(self.W, axis=1, keepdims=True) * r.uniform(.5, 2, (N, 1)).astype("f4")
        self.be, self.bd, self.mean = f(N) / 3, f(D) / 3, f(D) / 2
        self.t = abs(f(N)) / 2
        self.r_mag, self.gate, self.G = f(N) / 4, f(N) / 3, f(D, N) / 2
        self.skip, self.x = f(D, D) / 3, f(ROWS, D) * 2
        self.x[1] *= 6

    def wide(self):
        for k, v in list(vars(self).items()):
            if isinstance(v, np.ndarray):
                setattr(self, k, v.astype("f8"))
        return self


# ---- files ----

def safetensors(path, tensors, dtype="F32"):
    kinds = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": None}
    embfiles.save_safetensors(path, {k: (dtype, bf16(v) if dtype == "BF16" else np.ascontiguousarray(v, kinds[dtype])) for k, v in tensors.items()})


def instance(name, **attrs):
    """Of a class that is nowhere: pickled as NEWOBJ and BUILD."""
    module, _, name = name.rpartition(".")
    cls = type(name, (), {"__module__": module})
    for i in range(len(module.split("."))):
        part = ".".join(module.split(".")[:i + 1])
        sys.modules.setdefault(part, types.ModuleType(part))
    setattr(sys.modules[module], name, cls)
    o = cls()
    o.__dict__.update(attrs)
    return o


def scalar(v, dtype="<f4"):
    return tensor(np.asarray(v, dtype))


def saelens(folder, n, arch, tensors, dtype="F32", **cfg):
    base = {"architecture": arch, "d_in": D, "d_sae": N, "dtype": "float32", "apply_b_dec_to_input": True, "normalize_activations": "none",
            "metadata": {"sae_lens_version": "6.18.0", "model_name": "m", "hook_name": "h"}}
    json_file(folder, "cfg.json", {**base, **cfg})
    safetensors(f"{folder}/sae_weights.safetensors", {"W_enc": n.E, "W_dec": n.W, "b_dec": n.bd, **tensors}, dtype)


def json_file(folder, name, o):
    with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
        json.dump(o, f)


def linear(n, **more):
    """As torch.nn.Linear holds it; the encoder in columns, as W_dec.T.clone() leaves it."""
    return OD({"encoder.weight": tensor(n.E.T), "decoder.weight": tensor(np.ascontiguousarray(n.W.T)), **more})


def t(v):
    return tensor(np.asarray(v, "<f4"))


def msae_file(folder, n, act, tail, more=(), tied=False, bare=False):
    model = OD(pre_bias=t(n.bd), encoder=tensor(np.asfortranarray(n.E)), latent_bias=t(n.be))
    if not tied:
        model["decoder"] = t(n.W)
    model["latents_activation_frequency"] = tensor(np.arange(N))
    model.update(more)
    name = "model.pth" if bare else f"{N}_{D}_{act}_{tied}_{tail}_data_{ROWS}_{D}.pth"
    save_pt(f"{folder}/{name}", {"model": model, "mean_center": t(n.mean), "scaling_factor": 1.5, "target_norm": np.float64(3)})
    return name


# ---- cases: write files, return (codes, recon) of wide numbers, and what conform.py wants ----

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def plain(w, z, x=None, undo=lambda y: y):
    return z, undo(z @ w.W + w.bd)


def pre(w, x=None, subtract=True):
    return ((w.x if x is None else x) - (w.bd if subtract else 0)) @ w.E + w.be


def centred(w):
    return (w.x - w.mean) * 1.5, lambda y: y / 1.5 + w.mean


@case
def msae_rw(folder, n):
    name = msae_file(folder, n, f"TopKReLU_{K}_RW", "False_0.0")

    def made(w):
        x, back = centred(w)
        z = first(relu(pre(w, x)), K)
        return z, back(z @ w.W + w.bd)
    return made, {"checkpoint": name}


@case
def msae_normalized_cap(folder, n):
    name = msae_file(folder, n, "ReLU_003", "True_2.0")

    def made(w):
        x, back = centred(w)
        x, undo = layer(x)
        z = 2 * np.tanh(relu(pre(w, x)) / 2)
        return z, back(undo(z @ w.W + w.bd))
    return made, {"checkpoint": name}


@case
def msae_jumprelu(folder, n):
    name = msae_file(folder, n, f"JumpReLU_{N}", "False_0.0", {"activation.log_threshold": t(np.log(n.t))})

    def made(w):
        x, back = centred(w)
        p = pre(w, x)
        z = np.where(p > w.t, p, 0)
        return z, back(z @ w.W + w.bd)
    return made, {"checkpoint": name}


@case
def msae_signed_tied(folder, n):
    name = msae_file(folder, n, "TopK_12", "False_0.0", tied=True)

    def made(w):
        x, back = centred(w)
        z = first(pre(w, x), 12)
        return z, back(z @ w.E.T + w.bd)
    return made, {"checkpoint": name}


@case
def msae_bare_name(folder, n):
    name = msae_file(folder, n, "", "", bare=True)

    def made(w):
        x, back = centred(w)
        z = first(relu(pre(w, x)), 2)
        return z, back(z @ w.W + w.bd)
    return made, {"checkpoint": name, "readings": [["", ["activation=TopKReLU_2"], []]]}


@case
def saelens_standard_nobdec_f64(folder, n):
    saelens(folder, n, "standard", {"b_enc": n.be}, "F64", apply_b_dec_to_input=False)
    return lambda w: plain(w, relu(pre(w, subtract=False))), {}


@case
def saelens_topk_rescale(folder, n):
    saelens(folder, n, "topk", {"b_enc": n.be}, k=K, rescale_acts_by_decoder_norm=True)

    def made(w):
        norm = np.linalg.norm(w.W, axis=1)
        z = first(relu(pre(w) * norm), K)
        return z, (z / norm) @ w.W + w.bd
    return made, {}


@case
def saelens_gated_layer(folder, n):
    saelens(folder, n, "gated", {"b_gate": n.gate, "b_mag": n.be, "r_mag": n.r_mag}, normalize_activations="layer_norm")

    def made(w):
        x, undo = layer(w.x)
        q = (x - w.bd) @ w.E
        return plain(w, np.where(q + w.gate > 0, relu(q * np.exp(w.r_mag) + w.be), 0), undo=undo)
    return made, {}


@case
def saelens_checkpoint(folder, n):
    saelens(folder, n, "matryoshka_batchtopk", {"b_enc": n.be}, k=2.5)
    safetensors(f"{folder}/sae_weights.safetensors", {"W_enc": n.E, "W_dec": n.W, "b_dec": n.bd, "b_enc": n.be, "topk_threshold": np.float64(.3)})

    def made(w):
        norm = np.linalg.norm(w.W, axis=1)
        z = relu(pre(w) * norm)
        z = np.where(z > np.float32(.3), z, 0)
        return z, (z / norm) @ w.W + w.bd
    return made, {}


@case
def saelens_length(folder, n):
    saelens(folder, n, "jumprelu", {"b_enc": n.be, "threshold": n.t}, normalize_activations="constant_norm_rescale")

    def made(w):
        x, undo = length(w.x)
        p = pre(w, x)
        return plain(w, np.where(p > w.t, p, 0), undo=undo)
    return made, {}


@case
def saelens_scaler(folder, n):
    saelens(folder, n, "standard", {"b_enc": n.be}, normalize_activations="expected_average_only_in")
    json_file(folder, "activation_scaler.json", {"scaling_factor": .4})
    return lambda w: plain(w, relu(pre(w, w.x * np.float32(.4))), undo=lambda y: y / np.float32(.4)), {}


@case
def saelens_skip_transcoder(folder, n):
    out = np.concatenate([n.W, n.W[:, :2]], 1)
    skip = np.concatenate([n.skip, n.skip[:2]], 0)
    saelens(folder, n, "skip_transcoder", {"b_enc": n.be}, d_out=D + 2)
    safetensors(f"{folder}/sae_weights.safetensors", {"W_enc": n.E, "W_dec": out, "b_dec": np.arange(D + 2), "b_enc": n.be, "W_skip": skip})

    def made(w):
        z = relu(pre(w, subtract=False))
        return z, z @ out.astype("f8") + np.arange(D + 2) + w.x @ skip.T.astype("f8")
    return made, {"transcoder": True}


@case
def saelens_legacy_topk_half(folder, n):
    n.E, n.W, n.bd, n.be = (v.astype("<f2").astype("f4") for v in (n.E, n.W, n.bd, n.be))
    json_file(folder, "cfg.json", {"d_in": D, "d_sae": N, "hook_point": "h", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": K},
                                   "normalize_activations": False, "sae_lens_training_version": "6.1.0"})
    safetensors(f"{folder}/sae_weights.safetensors", {"W_enc": n.E, "W_dec": n.W, "b_dec": n.bd, "b_enc": n.be, "scaling_factor": np.ones(N)}, "F16")
    return lambda w: plain(w, first(relu(pre(w)), K)), {}


@case
def dl_autoencoder(folder, n):
    save_pt(f"{folder}/ae.pt", linear(n, bias=t(n.bd), **{"encoder.bias": t(n.be)}))

    def unit(w):
        norm = np.linalg.norm(w.W, axis=1)
        z = relu(pre(w))
        return z * norm, z @ w.W + w.bd
    return (lambda w: plain(w, relu(pre(w)))), {"readings": [["", [], []], ["_unit", ["normalize_decoder=true"], []]], "others": {"_unit": unit}}


@case
def dl_autoencoder_new(folder, n):
    save_pt(f"{folder}/ae.pt", linear(n, **{"encoder.bias": t(n.be), "decoder.bias": t(n.bd)}))
    return lambda w: plain(w, relu(pre(w, subtract=False))), {}


@case
def dl_gated(folder, n):
    save_pt(f"{folder}/ae.pt", linear(n, decoder_bias=t(n.bd), r_mag=t(n.r_mag), gate_bias=t(n.gate), mag_bias=t(n.be)))

    def made(w):
        q = (w.x - w.bd) @ w.E
        return plain(w, np.where(q + w.gate > 0, relu(q * np.exp(w.r_mag) + w.be), 0))
    return made, {}


@case
def dl_topk(folder, n):
    save_pt(f"{folder}/ae.pt", linear(n, b_dec=t(n.bd), k=scalar(K, "<i4"), threshold=scalar(.4), **{"encoder.bias": t(n.be)}))
    json_file(folder, "config.json", {"trainer": {"dict_class": "AutoEncoderTopK", "k": K}})
    above = lambda w: plain(w, np.where(pre(w) > np.float32(.4), pre(w), 0))
    return (lambda w: plain(w, first(relu(pre(w)), K))), {"readings": [["", [], []], ["_threshold", ["use_threshold=true"], []], ["_k2", [], ["-k", "2"]]],
                                                          "others": {"_threshold": above, "_k2": lambda w: plain(w, first(relu(pre(w)), 2))}}


@case
def dl_batchtopk_backup(folder, n):
    state = linear(n, b_dec=t(n.bd), k=scalar(K, "<i4"), threshold=scalar(.2), **{"encoder.bias": t(n.be)})
    save_pt(f"{folder}/ae.pt", {"step": 3, "ae": state, "optimizer": {"state": {0: {"exp_avg": t(n.E)}}}, "norm_factor": 2.5,
                                "config": {"dict_class": "BatchTopKSAE"}})

    def made(w):
        p = (w.x - 2.5 * w.bd) @ w.E + 2.5 * w.be
        z = np.where(p > 2.5 * np.float32(.2), p, 0)
        return z, z @ w.W + 2.5 * w.bd
    return made, {}


@case
def dl_matryoshka(folder, n):
    save_pt(f"{folder}/ae.pt", OD(W_enc=tensor(np.asfortranarray(n.E)), b_enc=t(n.be), W_dec=t(n.W), b_dec=t(n.bd), k=scalar(K, "<i4"), threshold=scalar(.3),
                                  group_sizes=tensor(np.array([2, 5, 8]))))
    z = lambda w: np.where(pre(w) > np.float32(.3), pre(w), 0)
    cut = lambda w, k=0: plain(w, (first(z(w) * (np.arange(N) < 7), k) if k else z(w) * (np.arange(N) < 7)))
    return (lambda w: plain(w, z(w))), {"readings": [["", [], []], ["_two", [], ["--groups", "2"]], ["_two_k", [], ["--groups", "2", "-k", "1"]]],
                                        "others": {"_two": cut, "_two_k": lambda w: cut(w, 1)}}


@case
def dl_jumprelu(folder, n):
    save_pt(f"{folder}/ae.pt", OD(W_enc=t(n.E), b_enc=t(n.be), W_dec=t(n.W), b_dec=t(n.bd), threshold=t(n.t)))
    return lambda w: plain(w, np.where(pre(w, subtract=False) > w.t, pre(w, subtract=False), 0)), {}


def sparsify(folder, n, more=(), dtype="F32", **cfg):
    json_file(folder, "cfg.json", {"expansion_factor": 32, "normalize_decoder": True, "num_latents": N, "k": K, "d_in": D, **cfg})
    safetensors(f"{folder}/sae.safetensors", {"encoder.weight": n.E.T, "encoder.bias": n.be, "W_dec": n.W, "b_dec": n.bd, **dict(more)}, dtype)


@case
def sparsify_skip_bf16(folder, n):
    for k in ("E", "W", "be", "bd", "skip"):
        setattr(n, k, widened(bf16(getattr(n, k))))
    sparsify(folder, n, {"W_skip": n.skip}, "BF16", activation="topk", skip_connection=True)

    def made(w):
        z, y = plain(w, first(relu(pre(w)), K))
        return z, y + w.x @ w.skip.T
    return made, {}


@case
def sparsify_transcode(folder, n):
    sparsify(folder, n, activation="topk", transcode=True)
    return lambda w: plain(w, first(relu(pre(w, subtract=False)), K)), {"transcoder": True}


@case
def sparsify_groupmax(folder, n):
    sparsify(folder, n, activation="groupmax")
    return lambda w: plain(w, groupmax(pre(w), K)), {}


@case
def sparsify_signed(folder, n):
    sparsify(folder, n, signed=True)
    return lambda w: plain(w, first(pre(w), K, abs(pre(w)))), {}


@case
def latentsae_gated(folder, n):
    json_file(folder, "cfg.json", {"sae_type": "GATED", "k": K, "d_in": D})
    safetensors(f"{folder}/sae.safetensors", {"W_gate.weight": n.G.T, "W_gate.bias": n.gate, "W_mag.weight": n.E.T, "r_mag": n.r_mag, "W_dec": n.W, "b_dec": n.bd})

    def made(w):
        q = (w.x - w.bd) @ w.G + w.gate
        return plain(w, first(relu((w.x - w.bd) @ w.E * np.exp(w.r_mag) / (1 + np.exp(-q))), K, q))
    return made, {}


def latentsae(folder, n, kind, more=(), **cfg):
    json_file(folder, "cfg.json", {"sae_type": kind, "k": K, "d_in": D, **cfg})
    safetensors(f"{folder}/sae.safetensors", {"encoder.weight": n.E.T, "encoder.bias": n.be, "W_dec": n.W, "b_dec": n.bd, **dict(more)})


@case
def latentsae_lista(folder, n):
    latentsae(folder, n, "LISTA", lista_eta=.25, lista_steps=2)
    return lambda w: plain(w, lista(pre(w), K, w.W, float(np.float32(.25)), 2)), {}


@case
def latentsae_jumprelu(folder, n):
    latentsae(folder, n, "JUMPRELU", {"log_threshold": np.log(n.t)}, k=1)
    return lambda w: plain(w, first(np.where(pre(w) > w.t, pre(w), 0), 4)), {}


@case
def latentsae_batchtopk(folder, n):
    latentsae(folder, n, "BATCHTOPK", {"batchtopk_threshold": np.array(.3)})
    return lambda w: plain(w, first(np.where(pre(w) >= np.float32(.3), pre(w), 0), K)), {}


@case
def latentsae_matryoshka(folder, n):
    latentsae(folder, n, "MATRYOSHKA", matryoshka_ks="1,2,4", matryoshka_sizes="2,7,15")
    return lambda w: plain(w, first(relu(pre(w)), 4)), {}


@case
def openai_topk(folder, n):
    save_pt(f"{folder}/sae.pt", linear(n, pre_bias=t(n.bd), latent_bias=t(n.be), latents_activation_frequency=t(np.arange(N)), activation="TopK",
                                       activation_state_dict=OD(k=K, postact_fn="ReLU")))

    def made(w):
        x, undo = layer(w.x)
        return plain(w, first(relu(pre(w, x)), K), undo=undo)
    return made, {}


@case
def openai_identity(folder, n):
    save_pt(f"{folder}/sae.pt", linear(n, pre_bias=t(n.bd), latent_bias=t(n.be), activation="Identity", activation_state_dict=OD()))
    return lambda w: plain(w, pre(w)), {}


@case
def hypothesaes(folder, n):
    save_pt(f"{folder}/SAE_M={N}_K={K}.pt", {"config": {"input_dim": D, "m_total_neurons": N, "k_active_neurons": K, "prefix_lengths": [4, N], "use_batch_topk": False},
                                             "state_dict": linear(n, input_bias=t(n.bd), neuron_bias=t(n.be), threshold=scalar(0))})
    narrow = lambda w: plain(w, first(relu(pre(w)) * (np.arange(N) < 4), K))
    return (lambda w: plain(w, first(relu(pre(w)), K))), {"readings": [["", [], []], ["_four", [], ["--groups", "1"]]], "others": {"_four": narrow}}


@case
def dncbm(folder, n):
    bias = embfiles.Storage(n.bd)
    one = lambda: embfiles.Tensor(bias, (1, D))
    save_pt(f"{folder}/sparse_autoencoder_final.pt", OD({
        "tied_bias": one(), "pre_encoder_bias._bias_reference": one(), "encoder._weight": t(n.E.T[None]), "encoder._bias": t(n.be[None]),
        "decoder._weight": t(n.W.T[None]), "post_decoder_bias._bias_reference": one()}))
    return lambda w: plain(w, relu(pre(w))), {}


@case
def overcomplete_jump(folder, n):
    save_pt(f"{folder}/sae.pth", OD({"thresholds": t(np.log(n.t)), "encoder.final_block.0.weight": t(n.E.T), "encoder.final_block.0.bias": t(n.be),
                                     "dictionary._weights": t(n.W), "dictionary.multiplier": scalar(.3)}))

    def made(w, norm=None):
        p = w.x @ w.E + w.be
        z = np.where(p >= w.t, p, 0)
        rows = np.linalg.norm(w.W, axis=1, keepdims=True)
        return z, z @ (w.W / (rows.max() if norm else rows + 1e-8)) * np.exp(float(np.float32(.3)))
    return made, {"readings": [["", [], []], ["_max", ["normalization=max_l2"], []]], "others": {"_max": lambda w: made(w, "max")}}


@case
def saev_topk(folder, n):
    line = json.dumps({"schema": 5, "cfg": {"d_model": D, "d_sae": N, "activation": {"cls": "TopK", "params": {"top_k": 12}}}}).encode() + b"\n"
    save_pt(f"{folder}/sae.pt", OD(W_dec=t(n.W), b_dec=t(n.bd), W_enc=t(n.E), b_enc=t(n.be)), preface=line)
    return lambda w: plain(w, first(pre(w, subtract=False), 12)), {}


@case
def bartbussmann(folder, n):
    save_pt(f"{folder}/sae.pt", OD(b_dec=t(n.bd), b_enc=t(n.be), W_enc=t(n.E), W_dec=t(n.W), threshold=scalar(.35)))
    json_file(folder, "config.json", {"sae_type": "global-matryoshka-topk", "top_k": K, "input_unit_norm": True, "act_size": D, "dict_size": N, "group_sizes": "[2, 5, 8]"})

    def made(w):
        x, undo = layer(w.x)
        p = (x - w.bd) @ w.E
        return plain(w, np.where(p > np.float32(.35), p, 0), undo=undo)
    return made, {}


@case
def prisma(folder, n):
    cfg = instance("vit_prisma.sae.config.VisionModelSAERunnerConfig", architecture="standard", d_in=D, activation_fn_str="tanh-relu", activation_fn_kwargs={},
                   normalize_activations="layer_norm", is_transcoder=False, model_name="clip")
    save_pt(f"{folder}/n_images_9.pt", {"cfg": cfg, "state_dict": OD(W_enc=t(n.E), W_dec=t(n.W), b_enc=t(n.be), b_dec=t(n.bd))})

    def made(w):
        x, undo = layer(w.x)
        return plain(w, np.tanh(relu(pre(w, x))), undo=undo)
    return made, {}


@case
def listcomp(folder, n):
    save_pt(f"{folder}/old_sae.pt", {"state_dict": OD(W_enc=t(n.E), W_dec=t(n.W), b_enc=t(n.be), b_dec=t(n.bd), num_batches_not_active=t(n.be)), "cfg": {}, "act_mean": t(n.mean)})
    return lambda w: plain(w, relu(pre(w, w.x - w.mean)), undo=lambda y: y + w.mean), {}


# ---- equal to their threshold, in whole numbers: > or >= ----

def whole(n):
    for k in ("E", "W", "be", "bd", "x", "G"):
        setattr(n, k, np.rint(getattr(n, k) * 2).astype("f4"))
    n.r_mag *= 0
    n.gate, n.t = np.rint(n.gate * 3).astype("f4"), np.full(N, 1, "f4")


@case
def tied_saelens_gated(folder, n):
    whole(n)
    return saelens_gated(folder, n)


def saelens_gated(folder, n):
    saelens(folder, n, "gated", {"b_gate": n.gate, "b_mag": n.be, "r_mag": n.r_mag})

    def made(w):
        q = (w.x - w.bd) @ w.E
        return plain(w, np.where(q + w.gate > 0, relu(q + w.be), 0))
    return made, {"exact": True}


@case
def tied_overcomplete(folder, n):
    whole(n)
    made, about = overcomplete_jump(folder, n)
    return made, {"exact": True}


@case
def tied_latentsae(folder, n):
    whole(n)
    latentsae(folder, n, "BATCHTOPK", {"batchtopk_threshold": np.array(2.)}, k=N)
    return lambda w: plain(w, np.where(relu(pre(w)) >= 2, pre(w), 0)), {"exact": True}


@case
def tied_dictionary(folder, n):
    whole(n)
    save_pt(f"{folder}/ae.pt", linear(n, b_dec=t(n.bd), k=scalar(K, "<i4"), threshold=scalar(2), **{"encoder.bias": t(n.be)}))
    return lambda w: plain(w, np.where(pre(w) > 2, pre(w), 0)), {"exact": True}


def make(where, name, f):
    folder = os.path.join(where, name)
    os.makedirs(folder)
    for seed in range(200):
        n = Numbers([len(name), seed, sum(map(ord, name))])
        made, about = f(folder, n)
        about = {"d": D, "readings": [["", [], []]], "transcoder": False, "exact": False, **about}
        others = {"": made, **about.pop("others", {})}
        w = n.wide()
        x = w.x
        got = {s: g(w) for s, g in others.items()}
        # a code that rounding may take or give would test nothing
        w.x = x * (1 + 3e-6 * np.random.default_rng(seed).normal(size=x.shape))
        if about["exact"] or all(((g(w)[0] != 0) == (got[s][0] != 0)).all() for s, g in others.items()):
            break
    else:
        sys.exit(f"models.py: {name}: no numbers that are clear")
    if "checkpoint" not in about:
        files = [x for x in os.listdir(folder) if x.endswith((".pt", ".pth", ".safetensors"))]
        about["checkpoint"] = files[0] if not any(x.endswith(".json") for x in os.listdir(folder)) else files
    np.save(f"{folder}/input.npy", x.astype("<f4"))
    for s, (z, y) in got.items():
        np.save(f"{folder}/codes{s}.npy", z.astype("<f4"))
        np.save(f"{folder}/recon{s}.npy", y.astype("<f4"))
    json_file(folder, "case.json", about)


if __name__ == "__main__":
    for name, f in CASES.items():
        make(sys.argv[1], name, f)
