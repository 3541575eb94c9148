"""Small TAU roots in the official layouts of the sets."""

import io
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import soundfile

from scenelet.data.tau_sets import TAU_2022_MOBILE, THREE_CLASSES, parse_name

Sound = Callable[[str], np.ndarray]
"""Samples of the recording of a name, at 44.1 kHz."""
RATE = 44100
PERCENTAGES = (5, 10, 25, 50, 100)


def write_tau_root(
    root: Path,
    splits: Mapping[str, str | None],
    three: bool = False,
    sound: Sound | None = None,
    lists: Mapping[int, Collection[str]] | None = None,
    lists_folder: str = ".",
) -> Path:
    """Write a root in the official layout, and return it.

    Args:
        root: the folder to make.
        splits: the official split of each recording, by its name without extension.
        three: write the three classes of 2020 3class.
        sound: makes the recordings, 24-bit WAV as published; None: empty files.
        lists: names of each training list of DCASE 2024 by its percentage; `test.csv` has the test recordings.
        lists_folder: folder of the lists in the root.
    """
    (root / "audio").mkdir(parents=True)
    (root / "evaluation_setup").mkdir()
    labels, meta = {}, ["filename\tscene_label\tidentifier\tsource_label"]
    for stem in splits:
        parts = parse_name(stem)
        assert parts is not None
        labels[stem] = THREE_CLASSES[parts.scene] if three else parts.scene
        meta.append(f"audio/{stem}.wav\t{labels[stem]}\t{parts.city}-{parts.location}\t{parts.device}")
        path = root / f"audio/{stem}.wav"
        if sound is None:
            path.touch()
        else:
            file = io.BytesIO()
            soundfile.write(file, sound(stem), RATE, subtype="PCM_24", format="WAV")
            path.write_bytes(file.getvalue())
    _write(root / "meta.csv", meta)
    train, test = ([stem for stem, own in splits.items() if own == split] for split in ("train", "test"))
    _write_list(root / "evaluation_setup/fold1_train.csv", train, labels)
    _write_list(root / "evaluation_setup/fold1_evaluate.csv", test, labels)
    _write(root / "evaluation_setup/fold1_test.csv", ["filename", *(f"audio/{stem}.wav" for stem in test)])
    if lists is not None:
        (root / lists_folder).mkdir(exist_ok=True)
        for percent, stems in lists.items():
            _write_list(root / lists_folder / f"split{percent}.csv", stems, labels)
        _write_list(root / lists_folder / "test.csv", test, labels)
    return root


def _write_list(path: Path, stems: Collection[str], labels: Mapping[str, str]) -> None:
    _write(path, ["filename\tscene_label", *(f"audio/{stem}.wav\t{labels[stem]}" for stem in stems)])


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


def mobile_splits(
    slices: bool,
    scenes: Collection[str] = tuple(TAU_2022_MOBILE.train),
    places: Collection[str | None] = ("train", "train", "train", "train", "test", None),
) -> dict[str, str | None]:
    """Make names of a mobile set and their official split.

    Each scene has one location per element of `places`, the split of its recordings, with two segments each. Device a
    recorded all. Devices b, c and s1 to s3 recorded the first segment, and s4 to s6 that of locations that are not for
    training.
    """
    splits: dict[str, str | None] = {}
    for scene_number, scene in enumerate(scenes):
        for number, split in enumerate(places):
            location = 100 * (scene_number + 1) + number
            city = ("lyon", "milan", "oslo")[number % 3]
            for segment in (0, 1):
                devices = ["a"] if segment else ["a", "b", "c", "s1", "s2", "s3"]
                devices += [] if segment or split == "train" else ["s4", "s5", "s6"]
                for device in devices:
                    name = f"{scene}-{city}-{location}-{10 * location + segment}"
                    stems = [f"{name}-{k}-{device}" for k in range(10)] if slices else [f"{name}-{device}"]
                    splits |= dict.fromkeys(stems, split)
    return splits


def nested_lists(splits: Mapping[str, str | None]) -> dict[int, list[str]]:
    """Divide the training recordings into the lists of 5, 10, 25, 50 and 100 %, each a part of the next."""
    train = [stem for stem, split in splits.items() if split == "train"]
    order = sorted(train, key=lambda stem: stem.encode()[::-1])  # every scene is in each list
    return {percent: order[: len(order) * percent // 100] for percent in PERCENTAGES}
