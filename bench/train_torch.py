#!/usr/bin/env python3
"""Seconds of a training step in PyTorch: dense, one level after another.

    train_torch.py [-n STEPS] [-a NAME,NAME] DxM ...    prints "DxM NAME SECONDS"

What bench/train measures ours against: parameters and autograd, the step in the
paper's order (gradients, decoder rows to unit norm, projection, clipping, Adam),
4096 rows, 2 threads, the best of two steps after one that warms up. Large
allocations are best kept by malloc: bench/run sets its variables.
"""
import argparse
import time

import torch

BATCH = 4096


def largest(p, k):
    """The k largest of each row, if positive; zeros elsewhere."""
    value, index = torch.topk(p, k, dim=1, sorted=False)
    return torch.zeros_like(p).scatter(1, index, torch.relu(value))


def batch_largest(p, k):
    value, index = torch.topk(p.flatten(), k * p.shape[0], sorted=False)
    return torch.zeros_like(p).flatten().scatter(0, index, torch.relu(value)).view_as(p)


class Model(torch.nn.Module):
    def __init__(self, name, d, m):
        super().__init__()
        rows = torch.rand(m, d) * 2 - 1
        rows = rows / rows.norm(dim=1, keepdim=True) * 0.1
        self.decoder = torch.nn.Parameter(rows)
        self.encoder = torch.nn.Parameter(rows.t().contiguous())
        self.latent_bias = torch.nn.Parameter(torch.zeros(m))
        self.bias = torch.nn.Parameter(torch.zeros(d))
        self.name = name
        self.nesting = [64 << i for i in range(32) if 64 << i < m] + [m]

    def codes(self, p):
        """What each level keeps."""
        if self.name == "topk":
            return [largest(p, 64)]
        if self.name == "batchtopk":
            return [batch_largest(p, 32)]
        if self.name == "relu":
            return [torch.relu(p)]
        return [torch.relu(p) if k == p.shape[1] else largest(p, k) for k in self.nesting]

    def loss(self, x):
        square = (x * x).sum(1)
        codes = self.codes((x - self.bias) @ self.encoder + self.latent_bias)
        levels = [(((z @ self.decoder + self.bias - x) ** 2).sum(1) / square).mean() for z in codes]
        if self.name == "relu":
            return levels[0] + 0.03 * (codes[0].sum(1) / square.sqrt()).mean()
        weights = range(len(levels), 0, -1)
        return sum(w * l for w, l in zip(weights, levels)) / sum(weights)

    @torch.no_grad()
    def unit_rows(self):
        norm = self.decoder.norm(dim=1) + torch.finfo(torch.float32).eps
        self.decoder /= norm[:, None]
        self.encoder *= norm
        self.latent_bias *= norm
        grad = self.decoder.grad
        grad -= (grad * self.decoder).sum(1, keepdim=True) * self.decoder


def step(model, adam, x):
    adam.zero_grad()
    model.loss(x).backward()
    model.unit_rows()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adam.step()


def seconds(name, d, m, steps):
    torch.manual_seed(1)
    model = Model(name, d, m)
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, eps=6.25e-10)
    x = torch.randn(BATCH, d)
    step(model, adam, x)
    best = float("inf")
    for _ in range(steps):
        start = time.monotonic()
        step(model, adam, x)
        best = min(best, time.monotonic() - start)
    return best


def main():
    args = argparse.ArgumentParser()
    args.add_argument("-n", type=int, default=2)
    args.add_argument("-a", default="msae-rw,topk,batchtopk,relu")
    args.add_argument("shapes", nargs="+")
    args = args.parse_args()
    torch.set_num_threads(2)
    for shape in args.shapes:
        d, m = map(int, shape.split("x"))
        for name in args.a.split(","):
            print(shape, name, f"{seconds(name, d, m, args.n):.3f}", flush=True)


if __name__ == "__main__":
    main()
