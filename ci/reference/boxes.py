"""Localisation by boxes as the object-centric learning framework scores it (`BboxCorLocMetric`, `BboxRecallMetric` and the
best overlap): boxes around segments by torchvision, overlaps by torchvision, thresholds and means ours.

usage: boxes.py METRICS_GOLDENS
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou, masks_to_boxes

SIDE, CASES = 12, 40


def case(rng):
    segments = rng.integers(1, 5)
    labels = np.zeros((SIDE, SIDE), dtype=np.int64)
    for label in range(1, segments):
        x, y, w, h = rng.integers(0, SIDE - 3), rng.integers(0, SIDE - 3), rng.integers(1, 9), rng.integers(1, 9)
        labels[y : y + h, x : x + w] = label
    boxes = []
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0, SIDE - 2, 2)
        boxes.append([x, y, min(x + rng.uniform(1, 8), SIDE), min(y + rng.uniform(1, 8), SIDE)])
    if boxes and rng.random() < 0.5 and (labels == 1).any():
        # One that is met.
        (x1, y1, x2, y2) = masks_to_boxes(torch.tensor(labels == 1)[None])[0].tolist()
        boxes[0] = [x1, y1, x2 + 0.4, y2 + 0.2]
    row = dict(labels=labels.flatten().tolist(), boxes=boxes)
    if boxes:
        found = masks_to_boxes(torch.stack([torch.tensor(labels == label) for label in np.unique(labels)]))
        overlaps = box_iou(found.double(), torch.tensor(boxes, dtype=torch.float64)).nan_to_num(0)
        best = overlaps.max(0).values
        row |= dict(mbo=best.mean().item(), recovery=(best > 0.5).double().mean().item(), corloc=float((best > 0.5).any()))
    return row


if __name__ == "__main__":
    rng = np.random.default_rng(9)
    cases = [case(rng) for _ in range(CASES)]
    print(sum(c.get("corloc", 0) for c in cases), "of", sum("corloc" in c for c in cases), "located")
    Path(sys.argv[1], "boxes.json").write_text(json.dumps(dict(side=SIDE, cases=cases)) + "\n")
