"""Goldens of glass-metrics: the published formulas of object discovery on random small label maps.

Own transcription with one-hot masks and scipy's assignment, on purpose unlike the crate, which counts one contingency
table. Formulas: Object-Centric Learning Framework (`unsupervised_mask_iou`, `adjusted_rand_index`), as used by DINOSAUR,
SPOT and the GLASS release, and SlotDiffusion's `hungarian_miou` and `mean_best_overlap` (its 1e-8 in the denominator,
which moves a score by less than 1e-8, is left out).

    python ci/reference/metrics.py        # writes trainer/metrics/tests/goldens/{metrics,coco}.json
"""

import json
import pathlib

import numpy as np
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "trainer/metrics/tests/goldens"
IGNORE, OVERLAP = 15, 14


def one_hot(labels, count):
    return (labels[None] == np.arange(count)[:, None]).astype(np.float64)


def ari(truth, prediction):
    """truth [objects, pixels] and prediction [slots, pixels] as 0/1; pixels without an object do not count."""
    n = truth @ prediction.T
    a, b = n.sum(1), n.sum(0)
    total = a.sum()
    index, a_index, b_index = (n * (n - 1)).sum(), (a * (a - 1)).sum(), (b * (b - 1)).sum()
    expected = a_index * b_index / max(total * (total - 1), 1)
    denominator = (a_index + b_index) / 2 - expected
    return (index - expected) / denominator if denominator > 0 else 1.0


def pairwise_iou(truth, prediction):
    shared = truth @ prediction.T
    union = truth.sum(1)[:, None] + prediction.sum(1)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def overlap(truth, prediction):
    """mIoU, mBO, recovery, CorLoc over all rows of `truth`; None without rows."""
    if len(truth) == 0:
        return None
    iou = pairwise_iou(truth, prediction)
    rows, columns = linear_sum_assignment(iou, maximize=True)
    best = iou.max(1)
    return [iou[rows, columns].sum() / len(truth), best.mean(), (best > 0.5).mean(), float((best > 0.5).any())]


def oclf(labels, prediction):
    """[ARI, FG-ARI, overlap with background, overlap without]; empty masks and ignored pixels leave no trace."""
    ignored = labels == IGNORE
    truth = one_hot(labels, IGNORE)
    slots = one_hot(prediction, 16)
    truth[:, ignored] = 0
    slots[:, ignored] = 0
    present = truth.sum(1) > 0
    background = np.arange(IGNORE) == 0
    return [ari(truth, slots), ari(truth[1:], slots), overlap(truth[present], slots),
            overlap(truth[present & ~background], slots)]


def slotdiffusion(labels, prediction):
    """The same of SlotDiffusion: overlapping pixels are a segment of their own, labels up to the highest all count."""
    labels, prediction = labels.copy(), prediction.copy()
    prediction[labels == OVERLAP] = prediction.max() + 1
    labels[labels == OVERLAP] = 0
    truth = one_hot(labels, labels.max() + 1)
    slots = one_hot(prediction, prediction.max() + 1)
    return [ari(truth, slots), ari(truth[1:], slots), overlap(truth, slots), overlap(truth[1:], slots)]


def blobs(rng, width, height, labels):
    """Nearest of a few random points: connected regions, as masks are."""
    points = rng.random((len(labels), 2)) * [width, height]
    y, x = np.mgrid[:height, :width]
    distance = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    return np.asarray(labels)[distance.argmin(-1)]


def picture(rng, index):
    width, height = rng.integers(4, 17, 2)
    objects = rng.integers(0, 7)
    slots = rng.integers(1, 9)
    labels = list(rng.integers(0, objects + 1, rng.integers(1, 9)))
    if index % 7 == 0:
        labels = [0]
    if index % 11 == 0:
        labels = [max(1, label) for label in labels]
    truth = blobs(rng, width, height, labels)
    prediction = blobs(rng, width, height, list(rng.integers(0, slots, rng.integers(1, 12))))
    if index % 3 == 0:
        prediction = np.where(rng.random(truth.shape) < 0.8, truth, prediction)
    if index % 2 == 0:
        truth = np.where(blobs(rng, width, height, [0, 0, 0, 1]) == 1, IGNORE if index % 4 == 0 else OVERLAP, truth)
    return truth, prediction


def hexadecimal(labels):
    return "".join(f"{label:x}" for label in labels.ravel())


def metric_goldens():
    rng = np.random.default_rng(2024)
    pictures = []
    for index in range(240):
        truth, prediction = picture(rng, index)
        flat, slots = truth.ravel(), prediction.ravel()
        entry = {"width": truth.shape[1], "truth": hexadecimal(truth), "prediction": hexadecimal(prediction)}
        if not (flat == OVERLAP).any():
            entry["oclf"] = oclf(flat, slots)
        if not (flat == IGNORE).any():
            entry["slotdiffusion"] = slotdiffusion(flat, slots)
        pictures.append(entry)
    return pictures


def coco_goldens():
    """Polygons and masks as pycocotools sees them."""
    rng = np.random.default_rng(7)
    polygons = []
    for index in range(60):
        width, height = (int(side) for side in rng.integers(3, 60, 2))
        corners = rng.random((rng.integers(3, 12), 2)) * [width + 8, height + 8] - 4
        if index % 3 == 0:
            corners = np.clip(corners, 0, [width, height])
        if index % 5 == 0:
            corners = np.round(corners)
        if index % 4 == 0:
            angles = np.sort(rng.random(len(corners)) * 2 * np.pi)
            corners = np.stack([width / 2 + width / 3 * np.cos(angles), height / 2 + height / 3 * np.sin(angles)], 1)
        outline = [round(float(value), 2) for value in corners.ravel()]
        rle = coco_mask.frPyObjects([outline], height, width)[0]
        polygons.append({"width": width, "height": height, "polygon": outline, "counts": rle["counts"].decode()})
    masks = []
    for _ in range(40):
        width, height = (int(side) for side in rng.integers(1, 40, 2))
        bits = blobs(rng, width, height, list(rng.integers(0, 2, rng.integers(1, 9)))).astype(np.uint8)
        rle = coco_mask.encode(np.asfortranarray(bits))
        masks.append({"width": width, "height": height, "bits": "".join(map(str, bits.ravel())),
                      "counts": rle["counts"].decode(), "bounds": [int(v) for v in coco_mask.toBbox(rle)]})
    return {"polygons": polygons, "masks": masks}


def main():
    GOLDENS.mkdir(parents=True, exist_ok=True)
    for name, value in [("metrics", metric_goldens()), ("coco", coco_goldens())]:
        lines = json.dumps(value, separators=(",", ":")).replace('},{', '},\n{')
        (GOLDENS / f"{name}.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
