"""Multiplies square matrices with PyTorch on the CPU; called like pytorch.py, by pytorch.ts."""

import json
import sys
import time

import torch

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
torch.manual_seed(1)
shape, dtype = (options["size"], options["size"]), getattr(torch, options["dtype"])
X, Y = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
OUT = torch.empty(shape, dtype=dtype)


def answer(**values):
    print(json.dumps(values), flush=True)


torch.matmul(X, Y, out=OUT)
answer(version=torch.__version__, features=torch.backends.cpu.get_cpu_capability())
for line in sys.stdin:
    start, started = time.perf_counter(), time.thread_time()
    for _ in range(int(line)):
        torch.matmul(X, Y, out=OUT)
    answer(wall=time.perf_counter() - start, thread=time.thread_time() - started)
