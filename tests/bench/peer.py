"""peer.py - a training step of the shapes of `retort bench` in PyTorch: what a user would write instead.

usage: peer.py SHAPE BATCH TOKENS [--steps N] [--numbers f32|bf16] [--threads N]

Forward, mean cross-entropy, backward, gradients cut to norm 1, AdamW: what a step of retort does.  bf16 is
autocast, weights stay f32.  Prints one JSON object: seconds of each step after one that is not counted, and the
most memory that the process held.  Needs torch.
"""
import argparse
import json
import os
import resource
import time

import torch
from torch import nn
from torch.nn import functional

# hidden, layers, feed-forward, heads, key-value heads, vocabulary: as in core/cli/bench-model.c
SHAPES = {
    "qwen2.5-0.5b": (896, 24, 4864, 14, 2, 151936),
    "0.4b": (896, 18, 4864, 14, 2, 151936),
    "10m": (320, 8, 896, 5, 1, 4096),
    "2m": (192, 4, 512, 6, 2, 2048),
}
LEARNING_RATE, THETA, EPSILON = 1e-4, 1e6, 1e-6


class Attention(nn.Module):
    """Grouped queries, rotary positions, causal."""

    def __init__(self, hidden, heads, kv):
        super().__init__()
        self.heads, self.kv, self.width = heads, kv, hidden // heads
        self.q = nn.Linear(hidden, hidden)
        self.k = nn.Linear(hidden, kv * self.width)
        self.v = nn.Linear(hidden, kv * self.width)
        self.o = nn.Linear(hidden, hidden, bias=False)

    def split(self, x, heads):
        return x.unflatten(-1, (heads, self.width)).transpose(1, 2)

    def forward(self, x, cos, sin):
        def turn(t):
            a, b = t.chunk(2, -1)
            return t * cos + torch.cat((-b, a), -1) * sin

        q, k = turn(self.split(self.q(x), self.heads)), turn(self.split(self.k(x), self.kv))
        v = self.split(self.v(x), self.kv)
        q, k = q.to(v.dtype), k.to(v.dtype)
        k, v = (t.repeat_interleave(self.heads // self.kv, 1) for t in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, hidden, ff, heads, kv):
        super().__init__()
        self.before, self.between = nn.RMSNorm(hidden, EPSILON), nn.RMSNorm(hidden, EPSILON)
        self.attention = Attention(hidden, heads, kv)
        self.gate = nn.Linear(hidden, ff, bias=False)
        self.up = nn.Linear(hidden, ff, bias=False)
        self.down = nn.Linear(ff, hidden, bias=False)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.before(x), cos, sin)
        y = self.between(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    """Qwen2's, with a tied head."""

    def __init__(self, shape):
        super().__init__()
        hidden, layers, ff, heads, kv, vocabulary = shape
        self.width = hidden // heads
        self.embed = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(Layer(hidden, ff, heads, kv) for _ in range(layers))
        self.norm = nn.RMSNorm(hidden, EPSILON)
        for p in self.parameters():
            if p.ndim > 1:
                nn.init.uniform_(p, -.0346, .0346)  # a deviation of .02, quickly drawn

    def forward(self, ids):
        half = torch.arange(0, self.width, 2).float() / self.width
        angle = torch.outer(torch.arange(ids.shape[1]).float(), THETA ** -half).repeat(1, 2)
        cos, sin = angle.cos(), angle.sin()
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return functional.linear(self.norm(x), self.embed.weight)


def optimizer_of(model):
    """AdamW, fused where this PyTorch has that for the processor."""
    try:
        return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True), "fused"
    except RuntimeError:
        return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, foreach=True), "foreach"


def step(model, optimizer, ids, bf16):
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits = model(ids)
        loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    a.add_argument("shape", choices=SHAPES)
    a.add_argument("batch", type=int)
    a.add_argument("tokens", type=int)
    a.add_argument("--steps", type=int, default=3)
    a.add_argument("--numbers", choices=("f32", "bf16"), default="f32")
    a.add_argument("--threads", type=int, default=os.cpu_count())
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = Decoder(SHAPES[a.shape]).train()
    optimizer, kind = optimizer_of(model)
    ids = torch.randint(0, SHAPES[a.shape][-1], (a.batch, a.tokens))
    seconds = []
    for i in range(a.steps + 1):
        begun = time.perf_counter()
        loss = step(model, optimizer, ids, a.numbers == "bf16")
        if i:
            seconds.append(time.perf_counter() - begun)
    print(json.dumps({
        "version": torch.__version__, "optimizer": kind, "loss": loss, "seconds": seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
