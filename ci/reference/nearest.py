"""Goldens of nearest-neighbour resizing: which source pixel OpenCV, Pillow and torch take.

Only what differs from exact arithmetic is written: `rounded` lists (target pixel, source pixel).

    python ci/reference/nearest.py        # writes trainer/metrics/tests/goldens/nearest.json
"""

import json
import pathlib

import cv2
import numpy as np
import torch
from PIL import Image

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "trainer/metrics/tests/goldens/nearest.json"


def opencv(line, target):
    return cv2.resize(line.astype(np.int16)[None], (target, 1), interpolation=cv2.INTER_NEAREST)[0]


def pillow(line, target):
    return np.asarray(Image.fromarray(line.astype(np.int32)[None]).resize((target, 1), Image.NEAREST))[0]


def exact(line, target):
    line = torch.from_numpy(line.astype(np.float32))[None, None]
    return torch.nn.functional.interpolate(line, size=[target], mode="nearest-exact")[0, 0].numpy()


RULES = {"corner": (opencv, lambda x, s, t: x * s // t), "centre": (pillow, lambda x, s, t: (2 * x + 1) * s // (2 * t)),
         "centre-single": (exact, lambda x, s, t: (2 * x + 1) * s // (2 * t))}


def main():
    goldens, rng = [], np.random.default_rng(3)
    sides = sorted({*rng.integers(2, 900, 60).tolist(), 26, 52, 58, 100, 120, 224, 333, 375, 426, 427, 480, 500, 612, 640})
    for rule, (library, arithmetic) in RULES.items():
        for source in sides:
            for target in (224, 256, 320, int(rng.integers(2, 700))):
                found, plain = library(np.arange(source), target).astype(int), arithmetic(np.arange(target), source, target)
                at = np.flatnonzero(found != plain)
                goldens.append({"rule": rule, "source": source, "target": target,
                                "rounded": np.stack([at, found[at]], 1).tolist()})
    lines = json.dumps(goldens, separators=(",", ":")).replace("},{", "},\n{")
    GOLDEN.write_text(lines + "\n")
    print(len(goldens), "resizes,", sum(bool(golden["rounded"]) for golden in goldens), "of them rounded")


if __name__ == "__main__":
    main()
