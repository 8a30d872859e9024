"""Goldens of the mask extractor: our own transcription, in torch, of the published algorithms of Dataset Diffusion,
DAAM and DiffuMask.

Attention maps come from a formula that both sides compute (hash, centres, products and quotients in float64, so that
they agree to the bit), and from eight prompts' worth of maps that Stable Diffusion's small sibling in `assets/` made
(`--reference`, kept as float16). Only masks are stored.

    python ci/reference/masks.py --reference sample-20-steps.safetensors
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.numpy import load_file, save_file

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "pipeline/attention-mask-extractor/tests/goldens"
REGIONS = 6
CENTRE_X, CENTRE_Y, CROSS_NOISE, SELF_NOISE = range(4)


# --- the published algorithm -----------------------------------------------------------------------------------------

def bicubic(maps, width, height):
    return F.interpolate(maps[None], (height, width), mode="bicubic")[0]


def averaged(cross, side):
    return torch.stack([bicubic(maps, side, side) for maps in cross]).mean(0)


def daam(cross, heads, side):
    """DAAM's mean: every head of every layer once; `heads` says how many a resolution has (their maps are equal here)."""
    heads = heads or [1] * len(cross)
    maps = [bicubic(maps, side, side).clamp_min(0) for maps, count in zip(cross, heads) for _ in range(int(count))]
    return torch.stack(maps).mean(0)


def diffumask(cross, width, height):
    """Every resolution at the image's size over its own maximum, then the mean."""
    maps = [bicubic(maps, width, height) for maps in cross]
    return torch.stack([m / m.amax((1, 2), keepdim=True) for m in maps]).mean(0)


def otsu(values, low, high):
    """Of low, low + 0.01 … high the threshold with the largest variance between its two sides, the lowest of equals."""
    values = values.numpy().ravel()
    best, chosen = -1.0, None
    for step in range(int(round((high - low) / 0.01)) + 1):
        threshold = np.float32(low) + np.float32(0.01) * np.float32(step)
        above = values[values >= threshold].astype(np.float64)
        below = values[values < threshold].astype(np.float64)
        variance = len(above) * len(below) * (above.mean() - below.mean()) ** 2 if len(above) and len(below) else 0.0
        if variance > best:
            best, chosen = variance, threshold
    return chosen


def adaptive(maps, ids, low, high):
    """The strongest class of those that reach their own threshold, else 0."""
    own = np.array([otsu(m, low, high) for m in maps], np.float32)
    scores = np.where(maps.numpy() >= own[:, None, None], maps.numpy(), -np.inf)
    mask = np.asarray(ids, np.uint8)[scores.argmax(0)]
    mask[np.isinf(scores.max(0))] = 0
    return mask


def refine(cross, self_attention, power):
    """cross [classes, r, r] per resolution, self_attention [n², n²] -> [classes, n, n] brought to [0, 1]."""
    side = int(round(self_attention.shape[0] ** 0.5))
    affinity = torch.matrix_power(self_attention, power)
    outs = []
    for ca in averaged(cross, side):
        out = (affinity @ ca.reshape(-1, 1)).reshape(side, side)
        out = out - out.min()
        outs.append(out / out.max())
    return torch.stack(outs)


def threshold(maps, ids, low, high):
    """maps [classes, height, width]: the strongest class from `high` on, 255 from `low` on, else 0."""
    strongest, index = maps.max(0).values.numpy(), maps.numpy().argmax(0)
    mask = np.asarray(ids, np.uint8)[index]
    mask[strongest < high] = 255
    mask[strongest < low] = 0
    return mask


def normalised(maps):
    low = maps.amin((1, 2), keepdim=True)
    return (maps - low) / (maps - low).amax((1, 2), keepdim=True)


def extract(settings, cross, self_attention, ids):
    width, height = settings["size"]
    low, high = settings["low"], settings["high"]
    if settings["extractor"] == "daam":
        maps = normalised(bicubic(daam(cross, settings.get("weights"), settings["self"]), width, height))
    elif settings["extractor"] == "diffumask":
        maps = diffumask(cross, width, height)
    elif settings["extractor"] == "cross-only":
        maps = bicubic(normalised(averaged(cross, settings["self"])), width, height)
    else:
        maps = bicubic(refine(cross, self_attention, settings["power"]), width, height)
    if settings.get("threshold") == "adaptive":
        return adaptive(maps, ids, low, high)
    return threshold(maps, ids, low, high)


# --- maps both sides can compute -------------------------------------------------------------------------------------

def mix(x):
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def unit(sample, stream, index):
    """Uniform in [0, 1), 24 bits."""
    key = mix(np.atleast_1d(np.uint32(sample * 16 + stream)))
    return (mix(key + np.asarray(index, np.uint32)) >> np.uint32(8)).astype(np.float64) / 2.0**24


def grid(side):
    y, x = np.mgrid[:side, :side]
    return (x.ravel() + 0.5) / side, (y.ravel() + 0.5) / side


def centre_distances(sample, side):
    x, y = grid(side)
    regions = np.arange(REGIONS)
    dx = x[None] - unit(sample, CENTRE_X, regions)[:, None]
    dy = y[None] - unit(sample, CENTRE_Y, regions)[:, None]
    return dx * dx + dy * dy


def cross_map(sample, region, side):
    distance = centre_distances(sample, side)[region]
    noise = unit(sample, CROSS_NOISE, (region * 64 + side) * 4096 + np.arange(side * side))
    values = 0.002 + 0.05 / (1.0 + 60.0 * distance) + 0.01 * noise
    return torch.from_numpy(values.astype(np.float32)).reshape(side, side)


def self_map(sample, side):
    x, y = grid(side)
    region = centre_distances(sample, side).argmin(0)
    dx, dy = x[:, None] - x[None], y[:, None] - y[None]
    noise = unit(sample, SELF_NOISE, np.arange(side**4)).reshape(side**2, side**2)
    same = np.where(region[:, None] == region[None], 1.0, 0.05)
    weights = same / (1.0 + 40.0 * (dx * dx + dy * dy)) * (0.5 + noise)
    weights = weights / np.cumsum(weights, 1)[:, -1:]
    return torch.from_numpy(weights.astype(np.float32))


# --- goldens ---------------------------------------------------------------------------------------------------------

PRESET = {"extractor": "self-refined", "cross": [16], "self": 32, "power": 4, "low": 0.5, "high": 0.6}
GROUPS = {
    "dataset-diffusion": {**PRESET, "size": [512, 512], "samples": 80},
    "many-resolutions": {**PRESET, "cross": [8, 16, 32], "power": 2, "size": [256, 256], "samples": 4},
    "not-square": {**PRESET, "cross": [8], "self": 16, "power": 1, "size": [200, 136], "samples": 4},
    "cross-only": {**PRESET, "extractor": "cross-only", "cross": [8, 16], "size": [256, 256], "samples": 2},
    "daam": {**PRESET, "extractor": "daam", "self": 64, "cross": [16, 32], "low": 0.4, "high": 0.4,
             "size": [256, 256], "samples": 2},
    "daam-heads": {**PRESET, "extractor": "daam", "self": 64, "cross": [16, 32], "weights": [2, 1], "low": 0.4,
                   "high": 0.4, "size": [256, 256], "samples": 2},
    "diffumask": {**PRESET, "extractor": "diffumask", "cross": [16, 32, 64], "threshold": "adaptive", "low": 0.35,
                  "high": 0.54, "size": [256, 256], "samples": 8},
    "diffumask-not-square": {**PRESET, "extractor": "diffumask", "cross": [8, 16], "threshold": "adaptive",
                             "low": 0.35, "high": 0.54, "size": [200, 136], "samples": 6},
    "adaptive": {**PRESET, "cross": [8], "self": 16, "power": 1, "threshold": "adaptive", "low": 0.35, "high": 0.54,
                 "size": [200, 136], "samples": 2},
}
DRAWN = {
    "drawn-mini": {**PRESET, "cross": [8], "self": 16, "power": 1, "size": [128, 128]},
    "drawn-published": {**PRESET, "cross": [16], "self": 16, "power": 4, "size": [512, 512]},
}


def classes_of(sample):
    return [3 + 7 * c for c in range(1 + sample % 3)]


def write(name, masks):
    image = Image.fromarray(np.concatenate(masks))
    image.save(GOLDENS / f"{name}.png", optimize=True)


def formula_group(name, settings, first):
    masks = []
    for sample in range(first, first + settings["samples"]):
        ids = classes_of(sample)
        cross = [torch.stack([cross_map(sample, c, side) for c in range(len(ids))]) for side in settings["cross"]]
        needs_self = settings["extractor"] == "self-refined"
        masks.append(extract(settings, cross, self_map(sample, settings["self"]) if needs_self else None, ids))
    write(name, masks)
    return {**settings, "first": first}


def drawn_group(name, settings, maps):
    masks = []
    for prompt, ids in enumerate(maps["classes"]):
        ids = [int(i) for i in ids if i > 0]
        side = settings["cross"][0]
        cross = torch.from_numpy(maps[f"cross_{side}"][prompt].astype(np.float32))[: len(ids)].reshape(-1, side, side)
        self_attention = torch.from_numpy(maps[f"self_{settings['self']}"][prompt].astype(np.float32))
        masks.append(extract(settings, [cross], self_attention, ids))
    write(name, masks)
    return {**settings, "samples": len(masks)}


def drawn_maps(path):
    """The first four prompts' maps as float16; their classes are numbered 1, 2, a prompt with one class has a 0."""
    reference = load_file(path)
    described = json.loads(path.with_suffix(".json").read_text())
    maps = {name: reference[name].astype(np.float16) for name in ("cross_8", "cross_16", "self_16")}
    counts = [len(names) for names in described["classes"][:4]]
    maps["classes"] = np.array([[c + 1 if c < count else 0 for c in range(2)] for count in counts], np.int64)
    return maps


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--reference", type=pathlib.Path, help="tensors of a run of the small Stable Diffusion")
    reference = arguments.parse_args().reference
    torch.set_num_threads(1)
    GOLDENS.mkdir(parents=True, exist_ok=True)
    if reference:
        save_file(drawn_maps(reference), GOLDENS / "drawn.safetensors")
    drawn = load_file(GOLDENS / "drawn.safetensors")
    groups, first = {}, 0
    for name, settings in GROUPS.items():
        groups[name] = formula_group(name, settings, first)
        first += settings["samples"]
    for name, settings in DRAWN.items():
        groups[name] = drawn_group(name, settings, drawn)
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(group)}" for name, group in groups.items())
    (GOLDENS / "masks.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    with np.errstate(over="ignore"):
        main()
