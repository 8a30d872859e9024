"""Time per mask on one core: the Rust extractor against our torch transcription of the published algorithm.

Cross-attention 16², self-attention 32², two classes, power 4, mask 512²; medians, without reading or writing files.
The Rust time includes its quality signals (peak, area, entropy), which the transcription does not compute.

    python ci/bench/masks.py
"""

import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci/reference"))
import masks  # noqa: E402

REPEATS = 15


def torch_milliseconds():
    torch.set_num_threads(1)
    with np.errstate(over="ignore"):
        cross = [torch.stack([masks.cross_map(1, c, 16) for c in range(2)])]
        self_attention = masks.self_map(1, 32)
    settings = {**masks.PRESET, "size": [512, 512]}
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        masks.extract(settings, cross, self_attention, [1, 2])
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def rust_milliseconds():
    command = ["cargo", "run", "--release", "--quiet", "-p", "attention-mask-extractor", "--example", "time_masks"]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    rust, reference = rust_milliseconds(), torch_milliseconds()
    print(f"torch {reference:.1f} ms, Rust {rust:.2f} ms, ratio {rust / reference:.3f}")
