"""Time and memory of a training step, as ratios to the transcription in PyTorch (ci/reference).

DINOSAUR-MLP, the first stage of SPOT and phase 1 of GLASS with the features of DINOv2-B at 448 pixels
(1,024 tokens of 768) and 7 slots, without the image decoder. Each side is a process of its own, one
after the other, with the same number of threads; times are the fastest of so many steps.

usage: training.py [--batch N] [--steps N] [--threads N] [METHOD ...]
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
METHODS = ["dinosaur-mlp", "spot-teacher", "glass"]


def pytorch(method, batch, steps, threads):
    sys.path.insert(0, str(ROOT / "ci/reference"))
    import method_networks as networks
    import methods
    import tomllib
    import torch

    torch.set_num_threads(threads)
    networks.SIDE, networks.SIZE, networks.MASK_SIDE = 32, 768, 256
    file = tomllib.loads((ROOT / f"manifests/baselines/{method}.toml").read_text())
    c = methods.merged(methods.DEFAULTS, file["trainer"])
    slot_size = c["slots"]["out_size"] if c["slots"]["output"] == "on" else c["slots"]["size"]
    slots_net = networks.SlotAttention(c["slots"])
    decoder = networks.feature_decoder(c["features"], slot_size)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[c["optimizer"]["name"]]
    parameters = [*slots_net.parameters(), *decoder.parameters()]
    optimizer = kind(parameters, lr=1e-4)
    features = torch.randn(batch, 1024, 768)
    labels = torch.tensor([0, 3, 5, 255])[torch.arange(batch * 256 * 256) // 700 % 4].view(batch, 256, 256)
    networks.clear = lambda maps: None
    fastest = float("inf")
    for step in range(steps + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        noise = torch.randn(batch, c["slots"]["count"], c["slots"]["size"])
        slots, _, attention, _ = slots_net(features, noise, None)
        decoded, _ = decoder(slots, features, 0)
        loss = torch.nn.functional.mse_loss(decoded, features) * c["loss"]["instance"]
        if c["loss"]["semantic"] > 0:
            loss = loss + c["loss"]["semantic"] * networks.matched_masks(attention, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, c["optimizer"]["clip"],
                                       {"l2": 2.0, "infinity": float("inf")}[c["optimizer"]["clip_norm"]])
        optimizer.step()
        if step:
            fastest = min(fastest, time.perf_counter() - start)
    print(f"{fastest * 1e3:.1f} ms {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.3f} GB")


def measured(command, threads):
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    words = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.split()
    return float(words[-4]), float(words[-2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pytorch", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.pytorch:
        return pytorch(a.methods[0], a.batch, a.steps, a.threads)
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "glass-trainer", "--example", "method_step"], cwd=ROOT, check=True)
    example = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/method_step"
    sizes = ["--batch", str(a.batch), "--steps", str(a.steps), "--threads", str(a.threads)]
    print(f"{'method':16}{'ours':>11}{'PyTorch':>11}{'time':>7}{'ours':>10}{'PyTorch':>10}{'memory':>8}")
    for method in a.methods:
        ours = measured([example, method, str(a.batch), str(a.steps)], a.threads)
        theirs = measured([sys.executable, __file__, method, "--pytorch", *sizes], a.threads)
        print(f"{method:16}{ours[0]:8.0f} ms{theirs[0]:8.0f} ms{ours[0] / theirs[0]:7.2f}"
              f"{ours[1]:7.2f} GB{theirs[1]:7.2f} GB{ours[1] / theirs[1]:8.2f}")


if __name__ == "__main__":
    main()
