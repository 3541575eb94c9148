"""What `benchmarks/robustness/crashes.py` kills: five kinds of work on small made data, and what of their results must be alike."""

import hashlib
import io
import json
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
"""File -> SHA-256 of what must not differ."""

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
PIECE, PAUSE = 1 << 16, 0.02
"""Bytes that the server sends at once, and seconds between two pieces: a download takes a second or so."""


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes:
        name: as in the table.
        command: arguments of `scenelet`, or of `do` where the first begins with "_".
        again: what is added to them after a kill.
        results: patterns of the files in `out` that must be alike, seen whole after a kill too.
        workers: whether other processes do the work.
    """

    name: str
    command: tuple[str, ...]
    results: tuple[str, ...]
    again: tuple[str, ...] = ()
    workers: bool = False


def works(base: Path, out: Path, url: str) -> list[Work]:
    """The five, on what `prepare` has made in `base`; they write into `out` alone."""
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
    """Make scenes, a trained run, its model, a manifest and archives; `run` runs a `scenelet` command."""
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


def do(words: list[str]) -> None:
    """What no command does alone: the cache of all clips, and a fetch of archives that nobody has published."""
    if words[0] == "_cache":
        from scenelet.config import FeatureConfig, WindowConfig
        from scenelet.data.feature_cache import load_features
        from scenelet.data.load import load_table

        table = load_table(Path(words[1]))
        features = FeatureConfig(sample_rate=22050, n_mels=128, channels="mono")
        load_features(table.clips, table.root, features, WindowConfig(seconds=2.0), Path(words[2]), workers=2)
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
    """Of every result that is there under its own name; times are left out of `metrics.json`."""
    paths = {path for pattern in work.results for path in out.glob(pattern) if path.is_file()}
    own = {path for path in paths if not path.name.endswith(".part") and "downloads" not in path.parts}
    return {path.relative_to(out).as_posix(): hashlib.sha256(_content(path)).hexdigest() for path in sorted(own)}


def grown(work: Work, path: str) -> bool:
    """Whether a file grows under its own name, so that half of it is right while its work is under way."""
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
    """A slow web server on this machine that knows ranges; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            body = (folder / self.path.rpartition("/")[2]).read_bytes()
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            try:
                for place in range(start, len(body), PIECE):
                    self.wfile.write(body[place : place + PIECE])
                    time.sleep(PAUSE)
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
