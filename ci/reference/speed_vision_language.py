"""Speed of the mini DINOv2 and BLIP-2 in PyTorch, on the input of the Rust measurement and in the
processor's time as there.

usage: speed_vision_language.py ASSETS [THREADS]
"""

import sys
import time

import numpy as np
import torch
from transformers import Blip2ForConditionalGeneration, Dinov2Model

torch.set_grad_enabled(False)
torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 1)


def noise(shape):
    index = np.arange(np.prod(shape), dtype=np.uint64)
    hashed = (index * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(2**32)
    return torch.from_numpy(((hashed.astype(np.float64) / 2**32 - 0.5) * 4).astype(np.float32).reshape(shape))


def best(run):
    run()
    times = []
    for _ in range(8):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times) * 1e3


pixels = noise((16, 3, 128, 128))
model = Dinov2Model.from_pretrained(f"{sys.argv[1]}/mini/dinov2", dtype=torch.float32).eval()
print(f"speed | dinov2 mini, batch 16 | {best(lambda: model(pixels)):.1f} ms")
model = Blip2ForConditionalGeneration.from_pretrained(f"{sys.argv[1]}/mini/blip2-opt", dtype=torch.float32).eval()
for beams in (1, 5):
    elapsed = best(lambda: model.generate(pixel_values=pixels, max_new_tokens=30, do_sample=False, num_beams=beams))
    print(f"speed | blip2 mini, batch 16, {beams} beams | {16e3 / elapsed:.1f} captions/s")
