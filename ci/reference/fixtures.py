"""Tiny sets of annotated images in the formats that data is published in, and what the usual libraries read from them.

Pictures are made up. Polygons and run lengths are read by pycocotools, maps by Pillow, MATLAB files by scipy, tables by
`datasets`; squares are cut by torchvision (training, SPOT, OCLF) and OpenCV (GLASS release, SlotDiffusion).

    python ci/reference/fixtures.py        # writes trainer/goldens/formats
"""

import json
import pathlib
import shutil

import cv2
import datasets
import numpy as np
import scipy.io
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors.numpy import save_file
from torchvision import transforms
from torchvision.transforms.functional import InterpolationMode

from protocols import decode, opencv_square, pillow_square

ROOT = pathlib.Path(__file__).resolve().parents[2] / "trainer/goldens/formats"
WIDTH, HEIGHT = 48, 36


def picture(seed, width=WIDTH, height=HEIGHT):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(rows / rng.uniform(4, 14) + columns / rng.uniform(4, 14)) for _ in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def objects(instances, classes, void=None):
    """One entry an instance: class, pixels, box."""
    found = []
    for label in np.unique(instances):
        if label == 0 or label == void:
            continue
        inside = instances == label
        values, counts = np.unique(classes[inside & (classes != 0) & (classes != void)], return_counts=True)
        category = int(values[counts.argmax()]) if len(values) else 0
        found.append([category, int(inside.sum()), *box(inside)])
    return found


def box(inside):
    rows, columns = np.where(inside)
    left, top = int(columns.min()), int(rows.min())
    return [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1]


def checksum(labels):
    """Pixels of every label, and a sum that says where they are."""
    values, counts = np.unique(labels, return_counts=True)
    places = np.arange(labels.size).reshape(labels.shape) % 65521
    return {"pixels": {str(int(v)): int(c) for v, c in zip(values, counts)}, "places": int((labels * places).sum())}


def coco(root):
    rng = np.random.default_rng(1)
    images, annotations, expected = [], [], []
    for index in range(3):
        name = f"{index + 1:012}.jpg"
        save(picture(index), root / "val2017" / name, quality=75)
        images.append({"id": 40 + index, "file_name": name, "width": WIDTH, "height": HEIGHT})
        found, crowds = [], 0
        for kind in ["polygons", "counts", "compressed"][: 3 if index < 2 else 0]:
            x, y = rng.uniform(2, 24), rng.uniform(2, 16)
            if kind == "polygons":
                outline = [x, y, x + 17.3, y + 2.5, x + 15.1, y + 14.2, x + 3.3, y + 12.8]
                segmentation = [outline, [x + 1, y + 1, x + 5, y + 1, x + 3, y + 6]]
            else:
                inside = np.zeros((HEIGHT, WIDTH), np.uint8)
                inside[int(y):int(y) + 9, int(x):int(x) + 11] = 1
                rle = coco_mask.encode(np.asfortranarray(inside))
                segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
                if kind == "counts":
                    flat = inside.flatten(order="F")
                    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist() + [flat.size]
                    segmentation["counts"] = np.diff([0, *edges]).tolist()
            inside = decode(segmentation, HEIGHT, WIDTH)
            crowd = int(kind == "counts" and index == 0)
            category = {"polygons": 3, "counts": 1, "compressed": 90}[kind]
            annotations.append({"id": len(annotations) + 1, "image_id": 40 + index, "category_id": category,
                                "segmentation": segmentation, "iscrowd": crowd, "area": float(inside.sum()),
                                "bbox": [float(v) for v in box(inside)]})
            crowds += crowd
            if not crowd:
                found.append([{1: 1, 3: 2, 90: 3}[category], int(inside.sum()), *box(inside)])
        expected.append({"name": name, "size": [WIDTH, HEIGHT], "crowds": crowds, "objects": found})
    categories = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    write(root / "annotations/instances_val2017.json",
          json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return expected


def objects365(root):
    boxes = [[4.6, 3.5, 20.2, 15.0], [15.5, 8.5, 24.9, 30.0]]
    save(picture(11), root / "val/patch0/objects365_v1_00000001.jpg", quality=75)
    annotations = [{"id": index, "image_id": 7, "category_id": 5 + index, "bbox": bounds, "iscrowd": 0, "isfake": 0}
                   for index, bounds in enumerate(boxes)]
    images = [{"id": 7, "file_name": "images/v1/patch0/objects365_v1_00000001.jpg", "width": WIDTH, "height": HEIGHT}]
    categories = [{"id": 5, "name": "Shoes"}, {"id": 6, "name": "Chair"}]
    write(root / "zhiyuan_objv2_val.json",
          json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    labels, found = np.zeros((HEIGHT, WIDTH), np.int64), []
    for index, (x, y, w, h) in enumerate(boxes):
        left, top, right, bottom = (int(np.round(v)) for v in (x, y, x + w, y + h))
        labels[top:bottom, left:right] = index + 1
        inside = np.zeros((HEIGHT, WIDTH), bool)
        inside[top:bottom, left:right] = True
        found.append([index + 1, int(inside.sum()), *box(inside)])
    return [{"name": images[0]["file_name"], "size": [WIDTH, HEIGHT], "crowds": 0, "objects": found,
             "glass-release": checksum(opencv_square(labels, 256))}]


def voc_maps(seed):
    """Two objects of VOC's classes 7 and 15 with undecided borders of two pixels."""
    rng = np.random.default_rng(seed)
    instances, classes = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    for label, category, start in [(1, 7, 1), (2, 15, 23)]:
        left, top = start + int(rng.integers(0, 5)), int(rng.integers(1, 14))
        instances[top:top + 18, left:left + 20] = 255
        classes[top:top + 18, left:left + 20] = 255
        instances[top + 2:top + 16, left + 2:left + 18] = label
        classes[top + 2:top + 16, left + 2:left + 18] = category
    return instances, classes


def palette_png(labels, path):
    image = Image.fromarray(labels, "P")
    colours = np.zeros((256, 3), np.uint8)
    for index in range(256):
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    image.putpalette(colours.flatten().tolist())
    save(image, path)


def voc(root, sbd):
    base = root / "VOC2012"
    expected = {}
    for seed, name in [(21, "2007_000001"), (22, "2007_000002"), (23, "2008_000003"), (24, "2008_000004")]:
        save(picture(seed), base / f"JPEGImages/{name}.jpg", quality=75)
        instances, classes = voc_maps(seed)
        if name.startswith("2007"):
            palette_png(classes, base / f"SegmentationClass/{name}.png")
            palette_png(instances, base / f"SegmentationObject/{name}.png")
        else:
            # SBD decides every pixel, and is packed as MATLAB packs it or not at all.
            instances, classes = (np.where(m == 255, 0, m).astype(np.uint8) for m in (instances, classes))
            for kind, field, labels, rest in [("inst", "GTinst", instances, {"Categories": np.array([[7], [15]], np.uint8)}),
                                              ("cls", "GTcls", classes, {"CategoriesPresent": np.array([[7], [15]], np.uint8)})]:
                path = sbd / kind / f"{name}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                borders = np.empty((2, 1), object)
                borders[:] = [[np.eye(3)], [np.eye(2)]]
                scipy.io.savemat(path, {field: {"Boundaries": borders, "Segmentation": labels, **rest}},
                                 do_compression=name.endswith("3"))
                assert (scipy.io.loadmat(path)[field]["Segmentation"][0, 0] == labels).all()
        entry = {"name": f"{name}.jpg", "size": [WIDTH, HEIGHT], "crowds": 0, "objects": objects(instances, classes, 255)}
        decided = np.where(instances == 255, 0, instances)
        entry["spot"] = checksum(pillow_square(decided, 320))
        entry["glass-release"] = checksum(opencv_square(decided, 256))
        expected[name] = entry
    lists = base / "ImageSets/Segmentation"
    write(lists / "train.txt", "2007_000001\n")
    write(lists / "val.txt", "2007_000002\n")
    write(sbd / "train.txt", "2008_000003\n")
    write(sbd / "val.txt", "2008_000004\n2007_000002\n")
    val = expected.pop("2007_000002")
    return [val], list(expected.values())


def clevrtex(root):
    expected = []
    for number in range(10):
        save(picture(50 + number, 40, 30), root / f"clevrtex_full/CLEVRTEX_full_{number:06}.png")
        labels = np.zeros((30, 40), np.uint8)
        labels[4:14, 3 + number:15 + number] = 1
        labels[12:26, 20:33] = 2
        flat = Image.fromarray(labels)
        save(flat, root / f"clevrtex_full/CLEVRTEX_full_{number:06}_flat.png")
        side = int(0.8 * 30)
        cut = flat.crop(((40 - side) // 2, (30 - side) // 2, (40 + side) // 2, (30 + side) // 2))
        labels = np.asarray(cut)
        expected.append({"name": f"CLEVRTEX_full_{number:06}.png", "size": [side, side], "crowds": 0,
                         "objects": objects(labels, (labels > 0).astype(np.uint8))})
    return expected[1:2]


def label_maps(root):
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[3:20, 4:30] = 900
    labels[10:30, 25:40] = 17
    classes = np.where(labels == 900, 3, np.where(labels == 17, 1, 0)).astype(np.uint8)
    classes[10:12, 25:40] = 255
    save(picture(70), root / "images/a/b.png")
    save(Image.fromarray(labels), root / "instances/a/b.png")
    save(Image.fromarray(classes), root / "classes/a/b.png")
    return [{"name": "a/b.png", "size": [WIDTH, HEIGHT], "crowds": 0, "objects": objects(labels, classes, 255)}]


def parquet(root):
    rows, expected = {"image": [], "mask": []}, []
    for index in range(3):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[2:12 + index, 5:25] = 4
        labels[20:30, 30:44] = 9
        rows["image"].append(picture(80 + index))
        rows["mask"].append(Image.fromarray(labels))
        expected.append({"name": f"val-00000-of-00001#{index}", "size": [WIDTH, HEIGHT], "crowds": 0,
                         "objects": objects(labels, (labels > 0).astype(np.uint8))})
    features = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    path = root / "data/val-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    return expected


def views():
    """Squares of 32 pixels by the libraries, `<rule>.<picture>`, beside the pictures."""
    tensors, size = {}, 32
    for index, (width, height) in enumerate([(75, 50), (50, 75), (33, 61), (120, 32)]):
        rng = np.random.default_rng(90 + index)
        rough = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
        image = Image.fromarray(rough).resize((width, height), Image.BICUBIC)
        pixels = np.asarray(image)
        tensors[f"picture.{index}"] = pixels
        for name, mode in [("bilinear", InterpolationMode.BILINEAR), ("bicubic", InterpolationMode.BICUBIC)]:
            cut = transforms.Compose([transforms.Resize(size, interpolation=mode), transforms.CenterCrop(size)])
            tensors[f"{name}.{index}"] = np.asarray(cut(image))
        factor = max(size / height, size / width)
        target = int(round(width * factor)), int(round(height * factor))
        resized = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
        top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
        tensors[f"opencv.{index}"] = resized[top:top + size, left:left + size]
        labels = (pixels[..., 0] // 32).astype(np.int64)
        cut = transforms.Compose([transforms.Resize(size, interpolation=InterpolationMode.NEAREST),
                                  transforms.CenterCrop(size), transforms.PILToTensor()])
        tensors[f"pillow-nearest.{index}"] = cut(Image.fromarray(labels.astype(np.uint8)))[0].numpy()
        tensors[f"opencv-nearest.{index}"] = opencv_square(labels, size).astype(np.uint8)
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    val, augmented = voc(ROOT / "VOCdevkit", ROOT / "sbd/dataset")
    expected = {"coco": coco(ROOT / "coco"), "objects365": objects365(ROOT / "objects365"), "voc-val": val,
                "voc-trainaug": augmented, "clevrtex": clevrtex(ROOT / "clevrtex"),
                "label-maps": label_maps(ROOT / "label-maps"), "parquet": parquet(ROOT / "parquet")}
    write(ROOT / "expected.json", json.dumps(expected, indent=1))
    save_file(views(), ROOT / "views.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
