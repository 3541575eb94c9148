"""Run `scenelet serve` among malicious clients and check the answers to honest ones and the state of the service.

    python -m benchmarks.robustness.serve_malicious MODEL.scn RECORDINGS --minutes 30 --seed 0

Honest clients send recordings one after the other, each over a connection of its own, and repeat a request after
Retry-After if the answer is 429. They compare the answers with `scenelet predict`. Another honest client streams a
recording live and compares the predictions with `scenelet.inference.stream` in this process. At the same time there
are `--each` malicious clients of every kind in `malicious_clients.py`. All clients run in this process, on the
processors of the service. The service has its default limits and a `TMPDIR` of its own; the modification time of that
folder shows if a file was ever created in it. The benchmark prints Markdown tables.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from benchmarks.robustness import malicious_clients as hostile
from benchmarks.speed.client import TOLERANCE, Server, offline
from scenelet import load
from scenelet.audio.io import EXTENSIONS
from scenelet.inference.stream import Stream
from scenelet.utils.console import print_message

MOST_FILES = 40
SAMPLE_SECONDS = 2.0
AT = (1, 5, 10, 15, 20, 25, 30)  # minutes


@dataclass
class Tally:
    """What is counted, and the service's memory (minute, MB), open files and threads over time."""

    honest: Counter[str] = field(default_factory=Counter)
    live: Counter[str] = field(default_factory=Counter)
    hostile: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--honest", type=int, default=4)
    parser.add_argument("--each", type=int, default=4, help="hostile clients of each kind")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    found = sorted(f for f in options.recordings.rglob("*") if f.suffix.lower() in EXTENSIONS)
    files = rng.sample(found, min(MOST_FILES, len(found)))
    expected, _ = offline(options.model, files)
    with tempfile.TemporaryDirectory() as scratch, Server(options.model, scratch=Path(scratch)) as server:
        httpx.post(f"{server.address}/predict", files=[("files", files[0].read_bytes())])  # makes the networks
        untouched = Path(scratch).stat().st_mtime_ns
        tally = Tally()
        asyncio.run(run(server, options, files, expected, rng, tally))
        report(tally, options.minutes)
        health = wait_for_quiet(server.address)
        made = "none" if Path(scratch).stat().st_mtime_ns == untouched else "SOME"
        print(
            f"| open files at the beginning, at most, when all have gone | {tally.files[0]}, {max(tally.files)}, "
            f"{server.process.num_fds()} |"
        )
        print(
            f"| threads at the beginning, at most, when all have gone | {tally.threads[0]}, {max(tally.threads)}, "
            f"{server.process.num_threads()} |"
        )
        print(f"| active requests when all have gone | {health['active_requests']} |")
        print(f"| temporary files that were made | {made} |")
        lines = server.log().splitlines()[1:]
        print(
            f"| lines on stderr after the first; with a traceback | {len(lines)}; "
            f"{sum('Traceback' in line for line in lines)} |"
        )
        print_message("\n".join(lines[:40]))


async def run(
    server: Server, options: argparse.Namespace, files: list[Path], expected: dict, rng: random.Random, tally: Tally
) -> None:
    """All clients, until the time is over."""
    address, began = server.address, time.monotonic()
    end = began + 60 * options.minutes
    port = int(urlsplit(address).port or 0)
    bomb, data = hostile.bomb(), {file: file.read_bytes() for file in files}

    async def again(attempt: Callable[[], Awaitable[str]], count: Counter[str]) -> None:
        while time.monotonic() < end:
            count[await attempt()] += 1
            await asyncio.sleep(0.05)

    def honest(seed: int) -> Callable[[], Awaitable[str]]:
        own = random.Random(seed)
        return lambda: ask(address, (file := own.choice(files)), data[file], expected[str(file)], tally)

    def bad(kind: str, seed: int) -> Callable[[], Awaitable[str]]:
        attempt = hostile.KINDS[kind]
        own = random.Random(seed)
        return lambda: attempt(hostile.Target(port, data[own.choice(files)], bomb, own))

    async def watch() -> None:
        while time.monotonic() < end:
            with server.process.oneshot():
                tally.memory.append(((time.monotonic() - began) / 60, server.process.memory_info().rss / 1e6))
                tally.files.append(server.process.num_fds())
                tally.threads.append(server.process.num_threads())
            await asyncio.sleep(SAMPLE_SECONDS)

    live = await asyncio.to_thread(expected_stream, options.model, files[0])
    work = [again(honest(rng.randrange(1 << 30)), tally.honest) for _ in range(options.honest)]
    work.append(again(lambda: listen(address, *live), tally.live))
    for kind in hostile.KINDS:
        work += [again(bad(kind, rng.randrange(1 << 30)), tally.hostile[kind]) for _ in range(options.each)]
    await asyncio.gather(watch(), *work)


async def ask(address: str, file: Path, data: bytes, expected: dict[str, float], tally: Tally) -> str:
    """One recording, until it is answered: "right", "wrong", or what became of it."""
    began = time.monotonic()
    while True:
        try:
            async with httpx.AsyncClient(timeout=300) as http:
                answered = await http.post(f"{address}/predict", files=[("files", (file.name, data))])
        except httpx.HTTPError as error:
            return f"lost: {type(error).__name__}"
        if answered.status_code == 429:
            tally.honest["429, and asked again"] += 1
            await asyncio.sleep(float(answered.headers["Retry-After"]))
            continue
        if answered.status_code != 200:
            return f"lost: {answered.status_code}"
        tally.seconds.append(time.monotonic() - began)
        found = answered.json()["results"][0]["probabilities"]
        return "right" if all(abs(found[label] - p) <= TOLERANCE for label, p in expected.items()) else "wrong"


def expected_stream(model: str, file: Path) -> tuple[np.ndarray, int, list[np.ndarray]]:
    """Ten seconds of mono sound, their rate, and what they are live."""
    sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
    sound = np.resize(sound[:, :1].T, (1, 10 * rate))
    stream = Stream(load(model, threads=1), rate)
    return sound, rate, [window.probabilities for part in (stream.push(sound), stream.finish()) for window in part]


async def listen(address: str, sound: np.ndarray, rate: int, expected: list[np.ndarray]) -> str:
    """One live stream, in blocks of a tenth of a second; "right", "wrong", or what became of it."""
    try:
        async with connect(
            f"{address.replace('http', 'ws')}/stream?sample_rate={rate}", max_queue=None, ping_interval=None
        ) as socket:
            for start in range(0, sound.shape[1], rate // 10):
                await socket.send(sound[0, start : start + rate // 10].tobytes())
                await asyncio.sleep(0.1)
            await socket.send("end")
            messages = [json.loads(message) async for message in socket]
    except InvalidStatus as error:
        await asyncio.sleep(1)
        return f"{error.response.status_code}, and asked again"
    except (OSError, WebSocketException) as error:
        return f"lost: {type(error).__name__} {getattr(error, 'rcvd', '')}"
    rows = [message["probabilities"] for message in messages if message["type"] == "prediction"]
    if messages[-1]["type"] != "end" or len(rows) != len(expected):
        return f"lost: {messages[-1].get('message', 'windows')}"
    return "right" if np.allclose(rows, expected, rtol=0, atol=TOLERANCE) else "wrong"


def wait_for_quiet(address: str) -> dict[str, object]:
    """Wait until no request is active, at most a minute, and return the answer of `/health`."""
    for _ in range(60):
        health: dict[str, object] = httpx.get(f"{address}/health", timeout=60).json()
        if not health["active_requests"]:
            break
        time.sleep(1)
    time.sleep(12)  # connections that were left are closed
    return health


def report(tally: Tally, minutes: float) -> None:
    """Print the table, except for the rows that are asked of the service at the end."""
    print("| malicious client | attempts | what it was answered |\n|---|---|---|")
    for kind, count in tally.hostile.items():
        print(f"| {kind} | {count.total():,} | {format_counts(count)} |")
    print(f"| all | {sum(count.total() for count in tally.hostile.values()):,} | |")
    print("\n| | |\n|---|---|")
    print(f"| honest recordings: outcomes | {format_counts(tally.honest)} |")
    print(
        f"| seconds an honest recording, median, 99 %, most | "
        f"{', '.join(f'{np.quantile(tally.seconds, q):.2f}' for q in (0.5, 0.99, 1))} |"
    )
    print(f"| honest live streams of 10 s: outcomes | {format_counts(tally.live)} |")
    times, sizes = np.array(tally.memory).T
    for minute in (m for m in AT if m <= minutes):
        print(f"| memory (RSS) at minute {minute}, MB | {sizes[np.abs(times - minute).argmin()]:.0f} |")
    late = times >= minutes / 2
    print(f"| memory, most, MB | {sizes.max():.0f} |")
    print(f"| slope of memory in the second half, MB a minute | {np.polyfit(times[late], sizes[late], 1)[0]:+.2f} |")


def format_counts(count: Counter[str]) -> str:
    """`200: 5, cut: 1`."""
    return ", ".join(f"{outcome}: {number:,}" for outcome, number in sorted(count.items())) or "none"


if __name__ == "__main__":
    main()
