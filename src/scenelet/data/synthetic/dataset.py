"""A data set of synthetic recordings in three classes, for the demo and for tests that need no download."""

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from scenelet.data.synthetic.scenes import SCENE_TYPES
from scenelet.data.synthetic.sounds import SAMPLE_RATE, Array
from scenelet.errors import DataError, UsageError
from scenelet.utils.console import track
from scenelet.utils.files import csv_text, partial_path
from scenelet.utils.parallel import cpu_count

TABLE_NAME = "scenes.csv"
README_NAME = "README.txt"
README = """These recordings are synthetic: scenelet computed them.
A model trained on them shows that the tools work. It says nothing about real places.
{} clips of {:g} s, stereo, {} Hz, seed {}, generator {}.
scenes.csv: label is the class, group is the location; each location belongs to one split.
"""
GENERATOR_VERSION = 1
"""Version of the generator. Raise it when the same seed no longer gives the same samples."""


def write_synthetic_dataset(
    out: Path,
    seed: int,
    clips_per_location: int = 6,
    train_locations: int = 12,
    test_locations: int = 4,
    seconds: float = 4.0,
    workers: int | None = None,
) -> Path:
    """Write synthetic recordings (stereo, 48 kHz, 16-bit FLAC) and their table, `scenes.csv`. Return the folder.

    Each class has `train_locations` + `test_locations` locations, which are the groups of the table. The clips of
    a location all belong to the same split. The folder appears when it is complete. A folder that was written
    earlier with the same settings is kept as it is.

    Args:
        out: folder to write.
        seed: random seed, not negative. The same seed gives the same samples for any number of `workers`.
        clips_per_location: number of recordings per location.
        train_locations, test_locations: number of locations per class in each split.
        seconds: length of each recording in seconds.
        workers: number of threads; None: one per core.

    Raises:
        UsageError: a setting is out of range.
        DataError: `out` holds something else.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     scenes = write_synthetic_dataset(Path(folder) / "scenes", 0, 1, 1, 1, seconds=0.5, workers=1)
    ...     sorted(path.name for path in scenes.rglob("*-00.flac"))
    ['indoor-00-00.flac', 'indoor-01-00.flac', 'outdoor-00-00.flac', ... 'transportation-01-00.flac']
    """
    workers = cpu_count() if workers is None else workers
    if seed < 0 or seconds < 0.5 or min(clips_per_location, train_locations, test_locations, workers) < 1:
        raise UsageError("synthetic scenes need a seed of 0 or more, 0.5 s or more, and 1 or more of everything else")
    locations = range(train_locations + test_locations)
    keys = list(itertools.product(SCENE_TYPES, locations, range(clips_per_location)))
    names = [f"audio/{label}-{location:02d}-{clip:02d}.flac" for label, location, clip in keys]
    source = f"synthetic (scenelet, seed {seed})"
    rows = [
        [name, label, f"{label}-{location:02d}", "train" if location < train_locations else "test", source]
        for name, (label, location, _) in zip(names, keys, strict=True)
    ]
    texts = {
        README_NAME: README.format(len(keys), seconds, SAMPLE_RATE, seed, GENERATOR_VERSION),
        TABLE_NAME: csv_text(["filename", "label", "group", "split", "source"], rows),
    }
    found = {name: (out / name).read_bytes().decode(errors="replace") for name in texts if (out / name).is_file()}
    if found == texts and all((out / name).is_file() for name in names):
        return out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: holds something else than these synthetic scenes; name another folder or remove it")
    partial = partial_path(out)

    def write_clip(name: str, key: tuple[str, int, int]) -> None:
        pcm = np.round(synthetic_clip(seed, *key, seconds).T * 32767).astype(np.int16)
        soundfile.write(partial / name, pcm, SAMPLE_RATE, subtype="PCM_16")

    try:
        (partial / "audio").mkdir(parents=True)
        with ThreadPoolExecutor(workers) as pool:
            list(track(pool.map(write_clip, names, keys), "Writing scenes", len(keys)))
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8", newline="")
        if out.exists():
            out.rmdir()  # it is empty, and not every system can replace a folder by a folder
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def synthetic_clip(seed: int, label: str, location: int, clip: int, seconds: float = 4.0) -> Array:
    """Render one synthetic recording: samples (2, n) at 48 kHz, within -1 to 1.

    Args:
        seed: random seed, not negative.
        label: indoor, outdoor or transportation.
        location: index of the location within the class.
        clip: index of the clip within the location.
        seconds: length in seconds.

    Raises:
        UsageError: the label is unknown.

    >>> synthetic_clip(seed=0, label="outdoor", location=0, clip=0, seconds=0.5).shape
    (2, 24000)
    """
    if label not in SCENE_TYPES:
        raise UsageError(f"no synthetic scene has the label {label!r}; there are {', '.join(SCENE_TYPES)}")
    # the last number of a key is 0 for the location and 1, 2, ... for its clips, so that each has its own stream
    key = [seed, list(SCENE_TYPES).index(label), location]
    scene = SCENE_TYPES[label](np.random.default_rng([*key, 0]))
    return scene.render(round(seconds * SAMPLE_RATE), np.random.default_rng([*key, clip + 1]))
