"""The four protocols as their repositories compute them, with pycocotools, OpenCV, Pillow, torch and scipy.

Own transcription: label maps and one-hot masks, one image at a time. `glass-release` and `slotdiffusion` resize with
OpenCV, `spot` with Pillow, `oclf` with torch's nearest-exact; each resizes given masks as it resizes its truth.
"""

import cv2
import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

METRICS = ["miou_i", "miou_c", "mbo_i", "mbo_c", "fg_ari", "ari", "corloc", "object_recovery"]


def decode(segmentation, height, width):
    if isinstance(segmentation, list):
        if not segmentation:
            return np.zeros((height, width), bool)
        rles = coco_mask.frPyObjects(segmentation, height, width)
        return coco_mask.decode(coco_mask.merge(rles)).astype(bool)
    if isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, height, width)
    return coco_mask.decode(segmentation).astype(bool)


def truncated(height, width, size):
    """torchvision's Resize of the short side."""
    if width <= height:
        return int(size * height / width), size
    return size, int(size * width / height)


def centre(array, size):
    """torchvision's CenterCrop."""
    height, width = array.shape[-2:]
    top, left = int(round((height - size) / 2.0)), int(round((width - size) / 2.0))
    return array[..., top:top + size, left:left + size]


def opencv_square(labels, size):
    height, width = labels.shape
    factor = max(size / height, size / width)
    target = int(round(width * factor)), int(round(height * factor))
    # int16: OpenCV resizes no 64-bit integers.
    labels = cv2.resize(labels.astype(np.int16), target, interpolation=cv2.INTER_NEAREST)
    height, width = labels.shape
    top, left = (height - size) // 2, (width - size) // 2
    return labels[top:top + size, left:left + size].astype(np.int64)


def pillow_square(labels, size):
    height, width = truncated(*labels.shape, size)
    resized = Image.fromarray(labels.astype(np.int32)).resize((width, height), Image.NEAREST)
    return centre(np.asarray(resized), size).astype(np.int64)


def torch_square(labels, size):
    target = truncated(*labels.shape[-2:], size)
    masks = torch.from_numpy(np.ascontiguousarray(labels)).float().reshape(1, -1, *labels.shape[-2:])
    if target != tuple(labels.shape[-2:]):
        masks = torch.nn.functional.interpolate(masks, size=target, mode="nearest-exact")
    return centre(masks[0].numpy(), size).reshape(labels.shape[:-2] + (size, size)).astype(np.int64)


def one_hot(labels, count=None):
    count = labels.max() + 1 if count is None else count
    return labels.ravel()[None] == np.arange(count)[:, None]


def ari(truth, prediction):
    n = truth.astype(np.float64) @ prediction.T.astype(np.float64)
    a, b = n.sum(1), n.sum(0)
    total = a.sum()
    index, a_index, b_index = (n * (n - 1)).sum(), (a * (a - 1)).sum(), (b * (b - 1)).sum()
    expected = a_index * b_index / max(total * (total - 1), 1)
    denominator = (a_index + b_index) / 2 - expected
    return (index - expected) / denominator if denominator > 0 else 1.0


def overlaps(truth, prediction):
    """mIoU, mBO, CorLoc, recovery over the rows of `truth`."""
    if len(truth) == 0:
        return [None] * 4
    shared = truth.astype(np.float64) @ prediction.T.astype(np.float64)
    union = truth.sum(1)[:, None] + prediction.sum(1)[None] - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    rows, columns = linear_sum_assignment(iou, maximize=True)
    best = iou.max(1) > 0.5
    return [iou[rows, columns].sum() / len(truth), iou.max(1).mean(), float(best.any()), best.mean()]


def row(instances, classes, fg_ari, semantic_ari):
    return dict(zip(METRICS, [instances[0], classes[0], instances[1], classes[1], fg_ari, semantic_ari,
                              instances[2], instances[3]]))


def paint(image, annotations, categories, crowds, later):
    """Instance map, class map, number of objects on each pixel, at the image's size."""
    shape = image["height"], image["width"]
    instances, classes, count = (np.zeros(shape, np.int64) for _ in range(3))
    for index, annotation in enumerate(annotations, 1):
        if not crowds and (annotation.get("iscrowd") or annotation.get("ignore")):
            continue
        inside = decode(annotation["segmentation"], *shape)
        free = inside if later else inside & (instances == 0)
        instances[free] = index
        classes[free] = categories[annotation["category_id"]]
        count += inside
    return instances, classes, count


def contiguous(labels):
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def glass_release(image, annotations, categories, prediction):
    instances, classes, _ = paint(image, annotations, categories, crowds=False, later=True)
    instances, classes = (contiguous(opencv_square(labels, 256)) for labels in (instances, classes))
    slots = one_hot(opencv_square(prediction, 256))
    i, c = one_hot(instances), one_hot(classes)
    return row(overlaps(i, slots), overlaps(c, slots), ari(i[1:], slots), ari(c, slots))


def spot(image, annotations, categories, prediction):
    instances, classes, count = paint(image, annotations, categories, crowds=True, later=False)
    instances, classes, ignored = (pillow_square(labels, 320) for labels in (instances, classes, count > 1))
    slots, i, c = one_hot(pillow_square(prediction, 320)), one_hot(instances), one_hot(classes)
    kept = ignored.ravel() == 0
    slots, i, c = slots & kept, i & kept, c & kept
    objects = [truth[1:][truth[1:].any(1)] for truth in (i, c)]
    return row(overlaps(objects[0], slots), overlaps(objects[1], slots), ari(i[1:], slots), ari(c, slots))


def oclf(image, annotations, categories, prediction):
    shape = image["height"], image["width"]
    kept = [a for a in annotations if not (a.get("iscrowd") or a.get("ignore"))]
    masks = np.zeros((max(len(kept), 1),) + shape, np.int64)
    for mask, annotation in zip(masks, kept):
        mask[:] = decode(annotation["segmentation"], *shape) * categories[annotation["category_id"]]
    classes = one_hot(torch_square(masks.max(0), 320))
    i = torch_square(masks, 320).reshape(len(masks), -1) > 0
    slots = one_hot(torch_square(prediction, 320))
    alone = i.sum(0) <= 1
    shown = slots & alone
    i = i & alone
    c = classes[1:]
    return row(overlaps(i[i.any(1)], shown), overlaps(c[c.any(1)], slots), ari(i, shown), ari(classes, slots))


def slotdiffusion(image, annotations, categories, prediction):
    instances, classes, count = paint(image, annotations, categories, crowds=False, later=True)
    instances, classes, shared, slots = (
        opencv_square(labels, 224) for labels in (instances, classes, count > 1, prediction))
    instances, classes = contiguous(instances), contiguous(classes)
    for labels in (instances, classes):
        labels[shared == 1] = 0
    slots[shared == 1] = slots.max() + 1
    slots, i, c = one_hot(slots), one_hot(instances), one_hot(classes)
    with_ground, without = overlaps(i, slots), overlaps(i[1:], slots)
    classes_with, classes_without = overlaps(c, slots), overlaps(c[1:], slots)
    return row([with_ground[0]] + without[1:], [classes_with[0]] + classes_without[1:], ari(i[1:], slots), ari(c, slots))


PROTOCOLS = {"glass-release": glass_release, "spot": spot, "oclf": oclf, "slotdiffusion": slotdiffusion}
