"""Milliseconds of one UNet call in PyTorch: python ci/bench/unet.py FOLDER [BATCH] [plain|train|frozen] [THREADS]

The counterpart of pipeline/nets/examples/unet_speed.rs.
"""

import sys
import time

import torch
from diffusers import UNet2DConditionModel

folder, batch, mode, threads = (sys.argv[1:] + ["32", "plain", "1"][len(sys.argv) - 2:])[:4]
batch = int(batch)
torch.set_num_threads(int(threads))
unet = UNet2DConditionModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
unet.requires_grad_(mode == "train")
sample = torch.randn(batch, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
context = torch.randn(batch, 77, unet.config.cross_attention_dim)
times = []
for _ in range(7):
    start = time.perf_counter()
    with torch.set_grad_enabled(mode != "plain"):
        output = unet(sample, 500, context.requires_grad_(mode != "plain")).sample
        if mode != "plain":
            output.square().mean().backward()
    times.append((time.perf_counter() - start) * 1e3)
times.sort()
print(f"{mode} batch {batch}: best {times[0]:.1f} ms, median {times[3]:.1f} ms")
