"""Goldens of class-wise IoU: the accumulated confusion matrix of the FCN and DeepLab evaluation codes, in numpy.

    python ci/reference/semantic.py
"""

import json
import pathlib

import numpy as np

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "trainer/metrics/tests/goldens"
IGNORED = 15


def histogram(truth, prediction, classes):
    """[truth, prediction] over the pixels that neither leaves out."""
    counted = (truth != IGNORED) & (prediction != IGNORED)
    flat = classes * truth[counted].astype(int) + prediction[counted]
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def numbers(hist, judged):
    hits, truth, predicted = np.diag(hist), hist.sum(1), hist.sum(0)
    with np.errstate(invalid="ignore"):
        iou, accuracy = hits / (truth + predicted - hits), hits / truth
    listed = [None if np.isnan(v) else float(v) for v in iou]
    return {"iou": listed, "miou": float(np.nanmean(iou)), "miou_without_background": float(np.nanmean(iou[1:])),
            "mean_accuracy": float(np.nanmean(accuracy)), "pixel_accuracy": float(hits.sum() / hist.sum()),
            "judged": float(judged)}


def maps(random, classes, absent):
    """Blobs and noise, some pixels left out, one class that never occurs."""
    width, height = random.integers(3, 14, 2)
    labels = np.array([c for c in range(classes) if c != absent])
    truth = random.choice(labels, (height, width))
    prediction = np.where(random.random((height, width)) < 0.6, truth, random.choice(labels, (height, width)))
    truth[random.random((height, width)) < 0.1] = IGNORED
    prediction[random.random((height, width)) < 0.05] = IGNORED
    return truth, prediction


def main():
    random = np.random.default_rng(7)
    sets = []
    for number in range(12):
        classes = int(random.integers(2, 9))
        absent = int(random.integers(1, classes)) if number % 2 and classes > 2 else -1
        pictures = [maps(random, classes, absent) for _ in range(int(random.integers(1, 6)))]
        hist = sum(histogram(t, p, classes) for t, p in pictures)
        judged = hist.sum() / sum(t.size for t, _ in pictures)
        text = lambda m: "".join(f"{v:x}" for v in m.ravel())
        sets.append({"classes": classes, **numbers(hist, judged), "pictures": [
            {"width": t.shape[1], "truth": text(t), "prediction": text(p)} for t, p in pictures]})
    (GOLDENS / "semantic.json").write_text("[\n" + ",\n".join(json.dumps(s) for s in sets) + "\n]\n")


if __name__ == "__main__":
    main()
