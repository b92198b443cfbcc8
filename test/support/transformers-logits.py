"""Loads model directories with transformers and prints their logits of some ids, a line each."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
ids, *folders = sys.argv[1:]
for folder in folders:
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    problems = {key: sorted(map(str, found)) for key, found in info.items() if found}
    with torch.no_grad():
        logits = model.eval()(torch.tensor([json.loads(ids)])).logits[0]
    said = {"type": type(model).__name__, "problems": problems, "logits": logits.tolist()}
    print("said", json.dumps(said))
