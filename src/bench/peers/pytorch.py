"""Trains a llama with PyTorch on the CPU, so many steps at a time as it is asked for.

Called by pytorch.ts with one argument, JSON: sizes, threads, compile, precision. Writes a line of
JSON when it is warm; then for each line with a number of steps, one with the seconds they took: by
the clock on the wall, and in processor time of the thread.
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
torch.manual_seed(1)
d, inner, vocabulary = options["hidden"], options["intermediate"], options["vocabulary"]
layers, heads = options["layers"], options["heads"]
batch, length = options["batch"], options["time"]
size = d // heads

frequencies = 10000.0 ** (-torch.arange(0, size, 2) / size)
angles = torch.arange(length)[:, None] * frequencies[None, :]
COS, SIN = torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin()


def rotate(x):
    left, right = x.chunk(2, -1)
    return x * COS + torch.cat([-right, left], -1) * SIN


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(d, eps=1e-5), nn.RMSNorm(d, eps=1e-5)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(d, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, d, bias=False)

    def forward(self, x):
        h = self.norm1(x)
        q, k, v = (
            part(h).view(batch, length, heads, size).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, d))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, d)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.norm = nn.RMSNorm(d, eps=1e-5)
        self.head = nn.Linear(d, vocabulary, bias=False)
        for name, p in self.named_parameters():
            if p.dim() < 2:
                continue
            ends = name.endswith(("o.weight", "down.weight"))
            nn.init.normal_(p, std=0.02 / (math.sqrt(2 * layers) if ends else 1))

    def forward(self, tokens, targets):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, vocabulary), targets.view(-1))


model = Llama()
parameters = list(model.parameters())
optimizer = torch.optim.AdamW(
    [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ],
    lr=1e-3,
    fused=True,
)
loss_of = torch.compile(model) if options["compile"] else model


def tokens(offset):
    place = torch.arange(batch * length) + offset
    return (place * 7919 % vocabulary).view(batch, length)


INPUTS, TARGETS = tokens(0), tokens(1)


def step():
    with torch.autocast("cpu", torch.bfloat16, enabled=options["precision"] == "bf16"):
        loss = loss_of(INPUTS, TARGETS)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def answer(**values):
    print(json.dumps(values), flush=True)


step()
answer(parameters=sum(p.numel() for p in parameters), version=torch.__version__)
for line in sys.stdin:
    start, started = time.perf_counter(), time.thread_time()
    for _ in range(int(line)):
        loss = step()
    loss = loss.item()
    wall, thread = time.perf_counter() - start, time.thread_time() - started
    answer(wall=wall, thread=thread, loss=loss)
