"""Statistics of random features as pytorch-fid stores them (`--save-stats`), and its distance between them.

usage: fid_statistics.py TRAINER_GOLDENS
"""

import sys
from pathlib import Path

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance

DIM, PICTURES = 12, 40


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    mix, parts = rng.normal(size=(DIM, DIM)), []
    for name, shift in (("real", 0.0), ("drawn", 0.3)):
        features = rng.normal(size=(PICTURES, DIM)) @ mix + shift
        parts.append((features.mean(0), np.cov(features, rowvar=False)))
        np.savez_compressed(out / f"{name}.npz", mu=parts[-1][0], sigma=parts[-1][1])
    print(repr(float(calculate_frechet_distance(*parts[0], *parts[1]))))


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "fid")
