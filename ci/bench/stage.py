"""What a stage costs beside its network, on local disk and on a real S3 server (SeaweedFS).

The network sleeps (pipeline/stage/examples/sleeping_stage.rs), so every second more than it slept is the
stage's own. Prints one line for each promise and exits with 1 if one is broken.

    python ci/bench/stage.py [overhead requests scaling kill resume] [--seconds 60] [--server FOLDER]

Needs the programs, built (release): cargo build --release --workspace --example sleeping_stage.
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGE = ROOT / "target/release/examples/sleeping_stage"
# Where `weed mini` tells its counters.
METRICS = "http://127.0.0.1:23646/metrics"


class Stage:
    """One process of the sleeping stage."""

    def __init__(self, store, **flags):
        flags = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        self.started = time.time()
        self.process = subprocess.Popen([STAGE, "--store", store, "--threads", "1", *flags], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self):
        """The times it told, by name, and how long the process lived."""
        output, errors = self.process.communicate()
        if self.process.returncode not in (0, 3, -signal.SIGKILL):
            sys.exit(f"error: the stage ended with {self.process.returncode}\n{errors}")
        times = {name: float(value) for name, value in re.findall(r"^(begun|loaded|first|ended) ([0-9.]+)", output, re.M)}
        return times | {"lived": time.time() - self.started}


@contextlib.contextmanager
def server(folder):
    """A store on SeaweedFS, and a function that counts the requests it was asked."""
    command = ROOT / "ci/services/seaweedfs"
    environment = subprocess.run([command, "up", folder, "18391"], check=True, stdout=subprocess.PIPE,
                                 text=True).stdout
    os.environ.update(re.findall(r"([A-Z_]+)=(\S+)", environment))
    try:
        yield f"s3://glass/bench-{os.getpid()}"
    finally:
        subprocess.run([command, "down", folder], check=False)


def requests():
    """Requests of the S3 server so far, by its own count, which it begins to tell somewhat after it is up."""
    for attempt in range(100):
        try:
            text = urllib.request.urlopen(METRICS).read().decode()
            break
        except urllib.error.URLError:
            time.sleep(0.2)
    else:
        sys.exit(f"error: {METRICS} does not answer")
    counts = re.findall(r'^SeaweedFS_s3_request_total\{bucket="glass"[^}]*\} ([0-9.e+]+)$', text, re.M)
    return sum(map(float, counts))


def overhead(stores, seconds):
    """A second a sample, rows of half a megabyte, as drawings with their attention are."""
    worst = 0
    for name, store in stores.items():
        lived = Stage(f"{store}/overhead", samples=seconds, rows=20, sleep=1000, size=500_000, batch_size=4).end()["lived"]
        share = lived / seconds - 1
        worst = max(worst, share)
        print(f"overhead on {name}: {seconds} samples of 1 s in {lived:.2f} s, start and end included: {100 * share:.2f} %")
    return worst <= 0.02


def per_shard(stores):
    """Requests of a shard for shards of more and more rows."""
    found = []
    for rows in (10, 100, 1000):
        counts = []
        for shards in (10, 30):
            before = requests()
            Stage(f"{stores['SeaweedFS']}/requests-{rows}-{shards}", samples=rows * shards, rows=rows).end()
            counts.append(requests() - before)
        found.append((counts[1] - counts[0]) / 20)
    print("requests a shard of 10, 100, 1,000 rows:", ", ".join(f"{count:.2f}" for count in found))
    return len(set(found)) == 1


def scaling(stores):
    """One worker and three on the same shards; 0.2 s a sample."""
    flags = {"samples": 300, "rows": 4, "sleep": 200, "size": 10_000}
    one = Stage(f"{stores['SeaweedFS']}/one", **flags).end()["lived"]
    workers = [Stage(f"{stores['SeaweedFS']}/three", index=index, count=3, **flags) for index in range(3)]
    three = max(worker.end()["lived"] for worker in workers)
    print(f"workers: one {one:.2f} s, three {three:.2f} s: {one / three:.2f} times as fast")
    return one / three >= 2.8


def kill(stores):
    """From kill -9 to the first new sample; the network takes two seconds to load."""
    draw, found, load, sleep = random.Random(1), [], 2.0, 0.05
    flags = {"samples": 4000, "rows": 5, "sleep": int(1000 * sleep), "size": 10_000, "load": int(1000 * load)}
    for _ in range(10):
        stage = Stage(f"{stores['SeaweedFS']}/kill", **flags)
        time.sleep(load + draw.uniform(0.5, 2))
        stage.process.kill()
        killed = time.time()
        stage.end()
        stage = Stage(f"{stores['SeaweedFS']}/kill", **flags)
        time.sleep(load + 1)
        stage.process.kill()
        found.append(stage.end()["first"] - killed - load - sleep)
    print(f"from kill -9 to the first new sample: loading the network plus {min(found):.2f} to {max(found):.2f} s")
    return max(found) <= 2


def resume(stores):
    """A dataset of 1,000 shards of 100 rows, whose last shard is not there yet."""
    store, flags = f"{stores['SeaweedFS']}/resume", {"samples": 100_000, "rows": 100, "size": 10}
    filled = Stage(store, **flags).end()["lived"]
    uncommit(store, 999)
    planned = Stage(store, **flags).end()
    nothing = Stage(store, **flags).end()
    print(f"resume over 99,900 committed samples in 999 shards (made in {filled:.1f} s): first sample after "
          f"{planned['first'] - planned['begun']:.3f} s, the whole process {planned['lived']:.2f} s; "
          f"with nothing to do {nothing['lived']:.2f} s")
    return planned["first"] - planned["begun"] <= 3


def uncommit(store, shard):
    """Deletes what the last shard of a dataset left behind last: its commit and the manifest."""
    listed = subprocess.run([ROOT / "target/release/glassctl", "status", "--store", store, "--json"], check=True,
                            capture_output=True, text=True).stdout
    dataset = re.search(r"captions-[0-9a-f]+", listed)[0]
    for key in (f"commits/{shard:05}.json", "MANIFEST.json"):
        address = f"{os.environ['AWS_ENDPOINT_URL']}/{store.removeprefix('s3://')}/captions/{dataset}/{key}"
        user = f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}"
        subprocess.run(["curl", "--silent", "--fail", "--request", "DELETE", "--aws-sigv4", "aws:amz:us-east-1:s3",
                        "--user", user, address], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=[], metavar="overhead|requests|scaling|kill|resume")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--server", help="folder to keep the server's program in")
    args = parser.parse_args()
    benches = {"overhead": lambda stores: overhead(stores, args.seconds), "requests": per_shard, "scaling": scaling,
               "kill": kill, "resume": resume}
    work = pathlib.Path(tempfile.mkdtemp())
    broken = []
    try:
        with server(pathlib.Path(args.server or work / "seaweedfs")) as bucket:
            for name in args.what or benches:
                if not benches[name]({"local disk": work / "store", "SeaweedFS": bucket}):
                    broken.append(name)
    finally:
        shutil.rmtree(work)
    if broken:
        sys.exit(f"error: not as promised: {', '.join(broken)}")


if __name__ == "__main__":
    main()
