"""Time and memory of `trainer evaluate --masks` on COCO-sized label maps, all protocols, beside the Python rules.

Makes images of 640x480 with seven polygons each (as many as COCO has on average) and label maps of seven segments,
judges them, a fifth of them before (memory must not grow), and a sample with ci/reference/protocols.py, before and
after. The ratio is one of processor time, all threads together, so that what else the machine does enters neither side.

    python ci/bench/evaluation.py [--images 5000] [--sample 50] [--trainer PATH]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
import torch
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci/reference"))
import evaluation  # noqa: E402

WIDTH, HEIGHT, OBJECTS, CORNERS = 640, 480, 7, 24

MEASURE = """
import os, subprocess, sys, time
started = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
assert status == 0
print(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def make(folder, count):
    rng = np.random.default_rng(5)
    document = {"images": [], "annotations": [], "categories": [{"id": k, "name": str(k)} for k in range(1, 81)]}
    maps = [evaluation.blobs(rng, HEIGHT, WIDTH, list(range(OBJECTS))).astype(np.uint8) for _ in range(40)]
    for index in range(count):
        document["images"].append({"id": index, "file_name": f"{index:012}.jpg", "width": WIDTH, "height": HEIGHT})
        for _ in range(OBJECTS):
            centre, reach = rng.random(2) * [WIDTH, HEIGHT], 20 + rng.random() * 150
            angles = np.sort(rng.random(CORNERS) * 2 * np.pi)
            x = np.clip(centre[0] + reach * np.cos(angles), 0, WIDTH)
            y = np.clip(centre[1] + reach * np.sin(angles), 0, HEIGHT)
            outline = np.round(np.stack([x, y], 1).ravel(), 2).tolist()
            document["annotations"].append({"id": len(document["annotations"]), "image_id": index, "iscrowd": 0,
                                            "category_id": int(rng.integers(1, 81)), "segmentation": [outline]})
        Image.fromarray(maps[index % len(maps)]).save(folder / f"{index:012}.png")
    return document


def judge(trainer, folder, document, count):
    """Seconds, seconds of processors, peak memory in MB."""
    part = dict(document, images=document["images"][:count],
                annotations=document["annotations"][:count * OBJECTS])
    (folder / "instances.json").write_text(json.dumps(part))
    command = [trainer, "evaluate", "--masks", folder, "--annotations", folder / "instances.json", "--protocol", "all",
               "--json", folder / "numbers.json"]
    # Through a small process: a child's peak counts what its parent held when it was started.
    output = subprocess.run([sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, check=True).stdout
    seconds, processors, kilobytes = output.split()
    return float(seconds), float(processors), int(kilobytes) / 1024


def published(folder, document, count):
    """Seconds of processors an image of the Python rules."""
    part = dict(document, images=document["images"][:count], annotations=document["annotations"][:count * OBJECTS])
    (folder / "instances.json").write_text(json.dumps(part))
    started = time.process_time()
    for _ in evaluation.published(folder, folder / "instances.json"):
        pass
    return (time.process_time() - started) / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", default=ROOT / "target/release/trainer")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--sample", type=int, default=50)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        document = make(folder, args.images)
        python = [published(folder, document, args.sample)]
        for count in (args.images // 5, args.images):
            seconds, processors, megabytes = judge(args.trainer, folder, document, count)
            print(f"{count} images: {seconds:.1f} s, {1000 * processors / count:.2f} ms of processors an image, "
                  f"peak {megabytes:.0f} MB")
        python.append(published(folder, document, args.sample))
        times = " and ".join(f"{1000 * time:.1f}" for time in python)
        print(f"Python rules: {times} ms of processors an image; ratio {processors / args.images / min(python):.3f}")


if __name__ == "__main__":
    main()
