"""Load `scenelet serve` with many clients: compare its answers and processor time with `scenelet predict`.

    python -m benchmarks.speed.serve MODEL.scn RECORDINGS --max-clients 64 --requests 2000

RECORDINGS is a folder. The clients send its files of about 10 s or, if there are none, joined pairs of shorter files as
16-bit WAV. They are threads of this process, each with a connection of its own. They need processor time too, so the
throughput is that of a machine that runs both. The processor time is that of the server and of its decoders. It is
compared with one `scenelet predict` of the same files. The stages are then timed on the same files, in one thread of
this process; the rest of a request's processor time is HTTP, scheduling and copies. At the end, there are more clients
than allowed, and a body that is too large. The benchmark prints a Markdown table.

`--avx2` limits NumPy to AVX2. ONNX Runtime, which runs the network, cannot be limited.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile

import scenelet
from benchmarks.speed.client import TOLERANCE, Server, cpu_seconds, offline
from benchmarks.speed.instruction_sets import has_avx512, limit_to_avx2
from scenelet.audio.io import EXTENSIONS, blocks, info
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.utils.console import print_message

MAX_STAGE_FILES, STAGE_ROUNDS = 25, 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--max-clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--avx2", action="store_true")
    options = parser.parse_args()
    if options.avx2 and has_avx512():  # NumPy reads the variables when it is imported
        command = [sys.executable, "-m", "benchmarks.speed.serve", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | limit_to_avx2())
    with tempfile.TemporaryDirectory() as scratch:
        files = ten_seconds(options.recordings, Path(scratch))
        size = statistics.mean(file.stat().st_size for file in files)
        print_message(f"{len(files)} recordings of about 10 s, {size / 1e6:.2f} MB each")
        sent = list(itertools.islice(itertools.cycle(files), options.requests))
        expected, predict_seconds = offline(options.model, sent)
        seconds = load(options.model, sent, expected, predict_seconds, options.max_clients)
        print_shares(stages(options.model, files[:MAX_STAGE_FILES]), seconds)
        over_the_limit(options.model, files[0])


def ten_seconds(folder: Path, scratch: Path) -> list[Path]:
    """Return recordings of 9 to 11 s, or write pairs of shorter ones."""
    found = sorted(f for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS)
    fitting = [file for file in found if 9 <= info(file).seconds <= 11]
    if fitting:
        return fitting
    made = []
    for first, second in zip(found[::2], found[1::2], strict=False):
        (one, rate), (two, _) = soundfile.read(first), soundfile.read(second)
        made.append(scratch / f"{first.stem}+{second.stem}.wav")
        soundfile.write(made[-1], np.concatenate([one, two]), rate, subtype="PCM_16")
    return made


def load(
    model: str, sent: Sequence[Path], expected: dict[str, dict[str, float]], predict_seconds: float, clients: int
) -> float:
    """Send all requests, from so many clients at once. Return the processor seconds of one."""
    data = {file: file.read_bytes() for file in set(sent)}
    waiting, lock = iter(sent), threading.Lock()
    took: list[float] = []
    outcomes: Counter[str] = Counter()
    largest = 0.0

    def client() -> None:
        nonlocal largest
        with httpx.Client(timeout=300) as http:
            while True:
                with lock:
                    file = next(waiting, None)
                if file is None:
                    return
                begin = time.perf_counter()
                answered = http.post(f"{address}/predict", files=[("files", (file.name, data[file]))])
                seconds = time.perf_counter() - begin
                if answered.status_code != 200:
                    outcome = str(answered.status_code)
                    difference = 0.0
                else:
                    found = answered.json()["results"][0]["probabilities"]
                    difference = max(abs(found[label] - p) for label, p in expected[str(file)].items())
                    outcome = "as offline" if difference <= TOLERANCE else "another answer"
                with lock:
                    took.append(seconds)
                    outcomes[outcome] += 1
                    largest = max(largest, difference)

    with Server(model) as server:
        address = server.address
        httpx.post(f"{address}/predict", files=[("files", ("a", data[sent[0]]))])  # makes the networks
        before = server.cpu_seconds()
        begin = time.perf_counter()
        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        cpu = (server.cpu_seconds() - before) / len(sent)
        memory = server.process.memory_info().rss / 1e6
    times = np.array(took)
    print("| | |\n|---|---|")
    print(f"| clients, requests | {clients}, {len(sent):,} |")
    print(f"| outcomes | {', '.join(f'{name}: {count:,}' for name, count in outcomes.items())} |")
    print(f"| largest difference of a probability from `scenelet predict` | {largest:.1e} |")
    print(f"| requests a second | {len(sent) / seconds:.1f} |")
    print(f"| seconds a request, median, 99 % | {np.median(times):.2f}, {np.quantile(times, 0.99):.2f} |")
    print(f"| processor ms a request; of `scenelet predict` a file | {1000 * cpu:.1f}; {1000 * predict_seconds:.1f} |")
    print(f"| their ratio | {cpu / predict_seconds:.2f} |")
    print(f"| memory of the server afterwards, MB | {memory:.0f} |")
    return cpu


def stages(model: str, files: Sequence[Path]) -> dict[str, float]:
    """Return the processor seconds that each stage of a prediction takes for one recording."""
    classifier = scenelet.load(model, threads=1)
    features, window = classifier.model.features, classifier.model.window
    log_mel = LogMel(features)
    cuts = [list(windows(file, features, window)) for file in files]
    mels = [np.stack([log_mel(samples) for samples in each]) for each in cuts]

    def measure(work: Callable[[Any], object], items: Sequence[Any]) -> float:
        before = cpu_seconds(psutil.Process())
        for item in [*items] * STAGE_ROUNDS:
            work(item)
        return (cpu_seconds(psutil.Process()) - before) / len(items) / STAGE_ROUNDS

    decoding = measure(lambda file: list(blocks(file)), files)
    return {
        "decoding": decoding,
        "resampling": measure(lambda file: list(windows(file, features, window)), files) - decoding,
        "features": measure(lambda each: [log_mel(samples) for samples in each], cuts),
        "network": measure(classifier.probabilities, mels),
    }


def print_shares(seconds: Mapping[str, float], request: float) -> None:
    """Print the share of each stage in the processor seconds of a request."""
    shares = {**seconds, "the rest": request - sum(seconds.values())}
    text = ", ".join(f"{name} {100 * share / request:.0f} % ({1000 * share:.1f} ms)" for name, share in shares.items())
    print(f"| shares of a request's processor time | {text} |")


def over_the_limit(model: str, file: Path) -> None:
    """Eight clients where four are allowed, then a body that is too large, then one that fits."""
    allowed = 4
    with Server(model, "--max-clients", str(allowed), "--max-body", "20MB") as server:
        answers: Counter[int] = Counter()
        lock = threading.Lock()

        def client() -> None:
            for _ in range(25):
                with httpx.Client(timeout=60) as http:
                    found = http.post(f"{server.address}/predict", files=[("files", (file.name, file.read_bytes()))])
                with lock:
                    answers[found.status_code] += 1

        threads = [threading.Thread(target=client) for _ in range(2 * allowed)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"| answers to {2 * allowed} clients where {allowed} are allowed | {dict(sorted(answers.items()))} |")
        large = httpx.post(f"{server.address}/predict", files=[("files", ("large", bytes(30_000_000)))])
        print(f"| answer to 30 MB where 20 MB are allowed | {large.status_code} |")
        fits = httpx.post(f"{server.address}/predict", files=[("files", (file.name, file.read_bytes()))])
        health = httpx.get(f"{server.address}/health").json()
        print(f"| afterwards | {fits.status_code}, {health['status']}, {health['active_requests']} active requests |")


if __name__ == "__main__":
    main()
