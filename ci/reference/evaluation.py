"""Judges masks with the published rules in Python and with `trainer evaluate --masks`, and compares image by image.

    python ci/reference/evaluation.py                                   # 1,000 random images, made anew
    python ci/reference/evaluation.py --annotations FILE --masks DIR    # given ones

Random images have polygons, both forms of run lengths, crowds, ignored and overlapping objects, no object at all,
and sides from 8 to 700 pixels; given masks are blobs, the truth with noise, the truth itself, or one segment. Prints
the largest difference of every metric under every protocol.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pyarrow.parquet
from PIL import Image
from pycocotools import mask as coco_mask
from sklearn.metrics import adjusted_rand_score

import protocols

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blobs(rng, height, width, labels):
    points = rng.random((len(labels), 2)) * [width, height]
    y, x = np.mgrid[:height, :width]
    nearest = np.zeros((height, width), int)
    closest = np.full((height, width), np.inf)
    for index, (px, py) in enumerate(points):
        distance = (x - px) ** 2 + (y - py) ** 2
        nearest[distance < closest] = index
        closest = np.minimum(closest, distance)
    return np.asarray(labels)[nearest]


def segmentation(rng, height, width):
    kind = rng.integers(3)
    if kind == 0:
        centre, reach = rng.random(2) * [width, height], rng.random() * max(height, width) / 2 + 2
        angles = np.sort(rng.random(rng.integers(3, 12)) * 2 * np.pi)
        return [[float(round(v, 2)) for point in
                 zip(centre[0] + reach * np.cos(angles), centre[1] + reach * np.sin(angles)) for v in point]]
    bits = blobs(rng, height, width, list(rng.integers(0, 2, rng.integers(2, 6)))).astype(np.uint8)
    rle = coco_mask.encode(np.asfortranarray(bits))
    if kind == 1:
        return {"size": [height, width], "counts": rle["counts"].decode()}
    runs, flat = [], np.concatenate([[0], bits.ravel(order="F"), [1 - bits.ravel(order="F")[-1]]])
    changes = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], changes])).tolist()
    return {"size": [height, width], "counts": runs}


def prediction(rng, index, image, annotations):
    shape = image["height"], image["width"]
    if index % 10 == 0:
        return np.zeros(shape, int)
    made = blobs(rng, *shape, list(rng.integers(0, rng.integers(1, 9), rng.integers(1, 12))))
    if index % 10 in (1, 2):
        return made
    truth = protocols.paint(image, annotations, {k: k for k in range(99)}, crowds=True, later=index % 2 == 0)[0]
    return truth if index % 10 == 3 else np.where(rng.random(shape) < 0.9, truth, made)


def make(folder, count, seed):
    rng = np.random.default_rng(seed)
    document = {"images": [], "annotations": [], "categories": [{"id": k, "name": str(k)} for k in (1, 3, 7, 20)]}
    for index in range(count):
        height, width = (int(side) for side in rng.integers(8, 700 if index % 4 == 0 else 120, 2))
        image = {"id": index + 1, "file_name": f"{index:04}.jpg", "width": width, "height": height}
        annotations = []
        for _ in range(0 if index % 9 == 0 else rng.integers(1, 8)):
            annotations.append({
                "id": len(document["annotations"]) + len(annotations) + 1, "image_id": image["id"],
                "category_id": int(rng.choice([1, 3, 7, 20])), "iscrowd": int(rng.random() < 0.1),
                "segmentation": segmentation(rng, height, width)} | ({"ignore": 1} if rng.random() < 0.05 else {}))
        if index % 13 == 0 and annotations:
            annotations[-1]["segmentation"] = [[0.0, 0.0, width, 0.0, width, height, 0.0, height]]
        document["images"].append(image)
        document["annotations"] += annotations
        labels = prediction(rng, index, image, annotations)
        if index % 2 == 0:
            Image.fromarray((labels * 37 % 65536).astype(np.uint16)).save(folder / f"{index:04}.png")
        else:
            Image.fromarray(labels.astype(np.uint8)).save(folder / f"{index:04}.png")
    (folder / "instances.json").write_text(json.dumps(document))


def ours(trainer, masks, annotations, out):
    subprocess.run([trainer, "evaluate", "--masks", masks, "--annotations", annotations, "--protocol", "all",
                    "--json", out / "numbers.json", "--per-image", out / "images.parquet"], check=True,
                   stdout=subprocess.DEVNULL)
    rows = pyarrow.parquet.read_table(out / "images.parquet").to_pylist()
    names = [(name, "ari_c" if name == "ari" else name) for name in protocols.METRICS]
    return {(r["protocol"], r["image_id"]): {name: r[column] for name, column in names} for r in rows}, \
        json.loads((out / "numbers.json").read_text())


def published(masks, annotations):
    document = json.loads(pathlib.Path(annotations).read_text())
    categories = {c["id"]: n for n, c in enumerate(sorted(document["categories"], key=lambda c: c["id"]), 1)}
    of = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        of[annotation["image_id"]].append(annotation)
    for image in document["images"]:
        labels = np.asarray(Image.open(masks / (pathlib.Path(image["file_name"]).stem + ".png"))).astype(np.int64)
        labels = protocols.contiguous(labels)
        for name, protocol in protocols.PROTOCOLS.items():
            yield (name, image["id"]), protocol(image, of[image["id"]], categories, labels)


def compare(mine, numbers, theirs):
    largest, differing, means = {}, {}, {}
    for key, expected in theirs:
        for metric, value in expected.items():
            found = mine[key][metric]
            assert (found is None) == (value is None), (key, metric, found, value)
            cell = key[0], metric
            means.setdefault(cell, [])
            if value is not None:
                difference = abs(found - value)
                means[cell].append(value)
                largest[cell] = max(largest.get(cell, 0), difference)
                differing[cell] = differing.get(cell, 0) + (difference > 1e-9)
    for number in numbers:
        cell = number["protocol"], number["metric"]
        assert number["images"] == len(means[cell]), (number, len(means[cell]))
        assert abs(number["value"] - np.mean(means[cell])) <= largest[cell] + 1e-12, (number, np.mean(means[cell]))
    print(f"{'':16}" + "".join(f"{name:>17}" for name in protocols.PROTOCOLS))
    for metric in protocols.METRICS:
        cells = [(protocol, metric) for protocol in protocols.PROTOCOLS]
        print(f"{metric:16}" + "".join(f"{largest.get(cell, 0):10.1e} ({differing.get(cell, 0):4})" for cell in cells))
    print("largest difference of an image (images that differ by more than 1e-9)")


def check_ari(rng):
    """Largest difference between the published ARI of grouped pixels and scikit-learn's."""
    largest = 0
    for _ in range(1000):
        truth, guess = (rng.integers(0, rng.integers(1, 9), rng.integers(1, 400)) for _ in range(2))
        size = min(len(truth), len(guess))
        found = protocols.ari(protocols.one_hot(truth[:size]), protocols.one_hot(guess[:size]))
        largest = max(largest, abs(found - adjusted_rand_score(truth[:size], guess[:size])))
    return largest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", default=ROOT / "target/release/trainer")
    parser.add_argument("--annotations", type=pathlib.Path)
    parser.add_argument("--masks", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"ARI of the Python rules and of scikit-learn: {check_ari(np.random.default_rng(args.seed)):.1e}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        masks, annotations = args.masks or folder, args.annotations or folder / "instances.json"
        if args.masks is None:
            make(folder, args.images, args.seed)
        mine, numbers = ours(args.trainer, masks, annotations, folder)
        compare(mine, numbers, published(masks, annotations))


if __name__ == "__main__":
    main()
