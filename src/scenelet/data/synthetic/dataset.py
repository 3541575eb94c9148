"""Made (synthetic) recordings in three classes, for the demo and for tests that need no download."""

import csv
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from scenelet.data.synthetic.scenes import LOCATIONS
from scenelet.data.synthetic.sounds import SAMPLE_RATE, Array
from scenelet.errors import DataError, UsageError
from scenelet.utils.console import track
from scenelet.utils.files import partial_path

TABLE_NAME = "scenes.csv"
README_NAME = "README.txt"
RECIPE = 1  # raise it when the same seed no longer gives the same samples


def write_synthetic_dataset(
    out: Path,
    seed: int,
    clips_per_place: int = 6,
    train_places: int = 12,
    test_places: int = 4,
    seconds: float = 4.0,
    workers: int | None = None,
) -> Path:
    """Write made recordings (stereo, 48 kHz, 16-bit FLAC) and `scenes.csv`; returns the folder.

    Each class has `train_places` + `test_places` places, which are the groups of the table; a place
    lies on one side of the split only. The folder appears when it is complete, and one that was
    made with the same settings is used again.

    Args:
        out: the folder to make.
        seed: not negative; the same seed gives the same samples, whatever `workers` is.
        clips_per_place: recordings of each place.
        train_places: places of each class with split "train".
        test_places: places of each class with split "test".
        seconds: length of each recording.
        workers: threads; None takes one per core.

    Raises:
        UsageError: a setting out of range.
        DataError: `out` holds something else.
    """
    workers = workers or os.cpu_count() or 1
    if seed < 0 or seconds < 0.5 or min(clips_per_place, train_places, test_places, workers) < 1:
        raise UsageError("made scenes need a seed of 0 or more, 0.5 s or more, and 1 or more of everything else")
    rows = _rows(seed, clips_per_place, train_places, test_places)
    texts = {README_NAME: _readme(seed, len(rows), seconds), TABLE_NAME: _table(rows)}
    if _is_complete(out, texts):
        return out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: holds something else than these made scenes; name another folder or remove it")

    part = partial_path(out)
    shutil.rmtree(part, ignore_errors=True)
    keys = _keys(clips_per_place, train_places + test_places)

    def write_clip(row: dict[str, str], key: tuple[str, int, int]) -> None:
        samples = synthetic_clip(seed, *key, seconds)
        pcm = np.round(samples.T * 32767).astype(np.int16)
        soundfile.write(part / row["filename"], pcm, SAMPLE_RATE, subtype="PCM_16")

    try:
        (part / "audio").mkdir(parents=True)
        with ThreadPoolExecutor(workers) as pool:
            list(track(pool.map(write_clip, rows, keys), "Making scenes", len(rows)))
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8", newline="")
        if out.exists():
            out.rmdir()  # empty, and not every system replaces a folder by a folder
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def synthetic_clip(seed: int, label: str, place: int, clip: int, seconds: float = 4.0) -> Array:
    """(2, n) samples of one made recording at 48 kHz, full scale +-1.

    Raises:
        UsageError: an unknown label.
    """
    if label not in LOCATIONS:
        raise UsageError(f"no made scene is called {label!r}; there are {', '.join(LOCATIONS)}")
    # the last number is 0 for the place and 1, 2, ... for its clips: a stream each
    key = [seed, list(LOCATIONS).index(label), place]
    scene = LOCATIONS[label].draw(np.random.default_rng([*key, 0]))
    return scene.render(round(seconds * SAMPLE_RATE), np.random.default_rng([*key, clip + 1]))


def _keys(clips: int, places: int) -> list[tuple[str, int, int]]:
    return [(label, place, clip) for label in LOCATIONS for place in range(places) for clip in range(clips)]


def _rows(seed: int, clips: int, train_places: int, test_places: int) -> list[dict[str, str]]:
    return [
        {
            "filename": f"audio/{label}-{place:02d}-{clip:02d}.flac",
            "label": label,
            "group": f"{label}-{place:02d}",
            "split": "train" if place < train_places else "test",
            "source": f"synthetic (scenelet, seed {seed})",
        }
        for label, place, clip in _keys(clips, train_places + test_places)
    ]


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _readme(seed: int, clips: int, seconds: float) -> str:
    return (
        "These recordings are synthetic: scenelet computed them, nobody recorded them.\n"
        "A model trained on them shows that the tools work and says nothing about real places.\n"
        f"{clips} clips of {seconds:g} s, stereo, {SAMPLE_RATE} Hz, seed {seed}, recipe {RECIPE}.\n"
        f"{TABLE_NAME}: label is the class, group the made place, split keeps places apart.\n"
    )


def _is_complete(out: Path, texts: dict[str, str]) -> bool:
    for name, text in texts.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != text.encode():
            return False
    rows = csv.DictReader(io.StringIO(texts[TABLE_NAME]))
    return all((out / row["filename"]).is_file() for row in rows)
