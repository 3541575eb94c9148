"""Five kinds of work on small synthetic data that `benchmarks.robustness.crashes` kills, and their results."""

import hashlib
import io
import json
import os
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Digests = dict[str, str]
"""SHA-256 of each result, by file name."""

SETTINGS = (
    "features.sample_rate=8000",
    "features.n_fft=256",
    "features.hop_length=256",
    "features.n_mels=32",
    "window.seconds=2",
    "network.width=8",
    "network.repeats=1",
    "schedule.epochs=8",
    "schedule.batch_size=16",
    "prune.epochs=8",
    "precision=fp32",
)
ARCHIVES, MEMBERS, MEMBER_BYTES = 4, 25, 40_000
BLOCK_BYTES, PAUSE_SECONDS = 1 << 16, 0.02
"""Size of the blocks that the server sends, and the pause after each; a download takes about a second."""


@dataclass(frozen=True)
class Work:
    """One kind of work.

    Attributes:
        name: name in the table.
        command: arguments of `scenelet`, or of `run_internal` if the first one begins with "_".
        again: arguments that are added after a kill.
        results: patterns of the result files, which must be complete after each kill and equal at the end.
        workers: True if worker processes do the work.
    """

    name: str
    command: tuple[str, ...]
    results: tuple[str, ...]
    again: tuple[str, ...] = ()
    workers: bool = False


def works(base: Path, out: Path, url: str) -> list[Work]:
    """Return the five kinds of work on the data that `prepare` wrote to `base`. They write only to `out`."""
    scenes, changes = str(base / "scenes"), [word for setting in SETTINGS for word in ("--set", setting)]
    train = ("train", scenes, "--recipe", "demo", *changes, "--out", str(out / "run"))
    run = ("run/run.json", "run/split.csv", "run/model.pt", "run/metrics.json", "run/curves.png")
    compress = ("compress", str(base / "run"), "--out", str(out / "m.scn"), "--sparsity", "0.6")
    predict = ("predict", str(base / "m.scn"), str(base / "scenes.csv"), "--out", str(out / "rows"))
    return [
        Work("feature cache", ("_cache", scenes, str(out / "cache")), ("cache/*/[wi]*",), workers=True),
        Work("train", train, run, again=("--resume",)),
        Work("compress", compress, ("m.scn",)),
        Work("fetch", ("_fetch", url, str(base / "archives"), str(out / "data")), ("data/**/*", "data/*/.fetched")),
        Work(
            "predict --out",
            (*predict, "--workers", "2", "--shard-size", "3"),
            ("rows/part-*", "rows/_job/[ijem]*"),
            workers=True,
        ),
    ]


def prepare(base: Path, run: Callable[[list[str]], None]) -> None:
    """Write scenes, a trained run, its model, a manifest and archives; `run` runs a `scenelet` command."""
    from scenelet.data.synthetic.dataset import write_synthetic_dataset

    if (base / "scenes.csv").exists():
        return
    scenes = write_synthetic_dataset(
        base / "scenes", seed=0, clips_per_location=6, train_locations=6, test_locations=2, seconds=2.0
    )
    archives = base / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    for number in range(ARCHIVES):
        (archives / f"Small.audio.{number}.zip").write_bytes(_archive(number))
    changes = [word for setting in SETTINGS for word in ("--set", setting)]
    run(["train", str(scenes), "--recipe", "demo", *changes, "--out", str(base / "run"), "--resume"])
    run(["compress", str(base / "run"), "--out", str(base / "m.scn"), "--sparsity", "0.6"])
    names = sorted(path.relative_to(base).as_posix() for path in scenes.glob("audio/*"))
    (base / "scenes.csv").write_text("\n".join(["path", *names]) + "\n")


def run_internal(words: list[str]) -> None:
    """Run work that has no command of its own: fill the feature cache, or download archives from this machine."""
    if words[0] == "_cache":
        from scenelet.config import FeatureConfig, WindowConfig
        from scenelet.data.feature_cache import load_features
        from scenelet.data.load import load_table

        table = load_table(Path(words[1]))
        features = FeatureConfig(sample_rate=22050, n_mels=128, channels="mono")
        os.environ["SCENELET_CACHE"] = words[2]
        load_features(table.clips, table.root, features, WindowConfig(seconds=2.0), workers=2)
        return
    from scenelet.data.download.fetch import fetch
    from scenelet.data.download.zenodo import Archive, TauRoot

    url, here, out = words[1], Path(words[2]), Path(words[3])
    archives = tuple(_published(url, path) for path in sorted(here.glob("*.zip")))
    fetch(
        [TauRoot(out / "Small", out / "downloads", "Made.", tuple(Archive(*a) for a in archives), None)],
        out,
        lambda: True,
    )


def digests(work: Work, out: Path) -> Digests:
    """Return the digests of all results that exist under their final names, without the times in `metrics.json`."""
    paths = {path for pattern in work.results for path in out.glob(pattern) if path.is_file()}
    own = {path for path in paths if not path.name.endswith(".part") and "downloads" not in path.parts}
    return {path.relative_to(out).as_posix(): hashlib.sha256(_content(path)).hexdigest() for path in sorted(own)}


def may_be_incomplete(work: Work, path: str) -> bool:
    """Return True if a file grows under its final name, so that it may be incomplete during the work."""
    return work.name == "feature cache" or path.endswith((".fetched", "run.json"))


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name != "metrics.json":
        return data
    metrics: dict[str, Any] = json.loads(data)
    del metrics["minutes"]
    for epoch in metrics["history"]:
        del epoch["seconds"]
    return json.dumps(metrics).encode()


def _archive(number: int) -> bytes:
    import numpy as np

    rng, data = np.random.default_rng(number), io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for member in range(MEMBERS):
            archive.writestr(zipfile.ZipInfo(f"Small/audio/{number}-{member}.wav"), rng.bytes(MEMBER_BYTES))
    return data.getvalue()


def _published(url: str, path: Path) -> tuple[str, int, str]:
    return f"{url}/{path.name}", path.stat().st_size, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run a slow web server on this machine that supports ranges; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            body = (folder / self.path.rpartition("/")[2]).read_bytes()
            requested = self.headers.get("Range", "")
            start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
            self.send_response(206 if requested else 200)
            if requested:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            try:
                for position in range(start, len(body), BLOCK_BYTES):
                    self.wfile.write(body[position : position + BLOCK_BYTES])
                    time.sleep(PAUSE_SECONDS)
            except OSError:
                self.close_connection = True  # the client was killed

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            print(f"server: {sys.exc_info()[1]}", file=sys.stderr)

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
