"""Images a second: `Dataset::stream_shard` against `webdataset` (PyPI) on the same images, in one run.

Both decode every image to RGB, from local disk and from SeaweedFS, with the same number of cores: one process
here; there as many as cores, each with its share of the tar files. The tar files are what
`glassctl export --format webdataset` makes of the dataset. Best of the passes.

    python ci/bench/readers.py STORE [--cores 1 2] [--passes 5] [--server FOLDER]

STORE is a local folder with a generations and a masks dataset, e.g. that of `glassctl demo`. Needs webdataset and
Pillow, the programs, built (release), and `cargo build --release --workspace --example read_images`.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import webdataset
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "target/release"
PORT = 18391
SUFFIXES = ("png", "jpg", "webp")


def ours(store, dataset, cores, passes):
    """Images, encoded bytes and seconds of the fastest pass."""
    command = ["taskset", "-c", ",".join(map(str, range(cores))), PROGRAMS / "examples/read_images", store, dataset,
               "image", str(cores), str(passes)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    passes = [line.split() for line in output.splitlines()]
    images, size, seconds = min(passes, key=lambda line: float(line[2]))
    return int(images), int(size), float(seconds)


def decode(sample):
    """The image of a sample, decoded; the number of its bytes."""
    data = next(sample[suffix] for suffix in SUFFIXES if suffix in sample)
    Image.open(io.BytesIO(data)).convert("RGB").load()
    return len(data)


def read(urls, core, barrier, results, passes):
    """Reads its share of the tar files as often as asked, beside the others."""
    os.sched_setaffinity(0, {core})
    for _ in range(passes):
        barrier.wait()
        sizes = [decode(sample) for sample in webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)]
        results.put((len(sizes), sum(sizes)))
        barrier.wait()


def theirs(urls, cores, passes):
    """As `ours`."""
    barrier, results = multiprocessing.Barrier(cores + 1), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=read, args=(urls[core::cores], core, barrier, results, passes))
               for core in range(cores)]
    for worker in workers:
        worker.start()
    found = []
    for _ in range(passes):
        barrier.wait()
        started = time.perf_counter()
        barrier.wait()
        seconds = time.perf_counter() - started
        counts = [results.get() for _ in workers]
        found.append((sum(images for images, _ in counts), sum(size for _, size in counts), seconds))
    for worker in workers:
        worker.join()
    return min(found, key=lambda one: one[2])


@contextlib.contextmanager
def server(folder):
    command = ROOT / "ci/services/seaweedfs"
    environment = subprocess.run([command, "up", folder, str(PORT)], check=True, stdout=subprocess.PIPE, text=True).stdout
    os.environ.update(re.findall(r"([A-Z_]+)=(\S+)", environment))
    try:
        yield
    finally:
        subprocess.run([command, "down", folder], check=False)


def curl():
    user = f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}"
    return f"curl --silent --fail --aws-sigv4 aws:amz:us-east-1:s3 --user {user}"


def upload(folder, prefix):
    """Puts every file below a folder into the bucket; returns the addresses, in order."""
    addresses = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        address = f"{os.environ['AWS_ENDPOINT_URL']}/glass/{prefix}/{file.relative_to(folder)}"
        subprocess.run([*curl().split(), "--upload-file", file, address], check=True)
        addresses.append(address)
    return addresses


def compare(where, store, dataset, urls, cores, passes):
    for count in cores:
        one, other = ours(store, dataset, count, passes), theirs(urls, count, passes)
        if one[:2] != other[:2]:
            sys.exit(f"error: {one[0]} images of {one[1]} bytes here, {other[0]} of {other[1]} there")
        rates = [f"{images / seconds:.0f} images/s, {size / seconds / 2**20:.1f} MiB/s" for images, size, seconds in (one, other)]
        print(f"| {where} | {count} | {rates[0]} | {rates[1]} | {other[2] / one[2]:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=pathlib.Path)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--server", help="folder to keep the server's program in")
    args = parser.parse_args()
    dataset = next(args.store.glob("generations/generations-*"))
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        subprocess.run([PROGRAMS / "glassctl", "export", "--store", args.store, "--format", "webdataset", "--out", work / "tar"],
                       check=True, stdout=subprocess.DEVNULL)
        tars = sorted((work / "tar").glob("*.tar"))
        print("| from | cores | stream_shard | webdataset | ratio |\n|---|---|---|---|---|")
        compare("local disk", args.store, dataset.name, [str(tar) for tar in tars], args.cores, args.passes)
        with server(pathlib.Path(args.server or work / "seaweedfs")):
            upload(dataset, f"store/generations/{dataset.name}")
            addresses = [address for address in upload(work / "tar", "tar") if address.endswith(".tar")]
            urls = [f"pipe:{curl()} {address}" for address in addresses]
            compare("SeaweedFS", "s3://glass/store", dataset.name, urls, args.cores, args.passes)


if __name__ == "__main__":
    main()
