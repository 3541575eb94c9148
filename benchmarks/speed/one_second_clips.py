"""Made recordings of 1 s in the layout of TAU 2022 Mobile."""

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from scenelet.data.tau_sets import SCENES
from scenelet.utils.parallel import map_processes

RATE, SLICES = 44_100, 10
LOCATIONS, CITIES = 50, ("barcelona", "helsinki", "lisbon", "london", "lyon", "milan", "paris", "prague", "vienna")
DEVICES = ("b", "c", "s1", "s2", "s3")
AUDIO = "audio"


class Recording(NamedTuple):
    """Ten slices of 1 s of one segment by one device."""

    scene: int
    location: int
    segment: int
    device: str

    @property
    def identifier(self) -> str:
        """Location as `meta.csv` writes it."""
        return f"{CITIES[self.location % len(CITIES)]}-{1000 + self.scene * LOCATIONS + self.location}"

    def name(self, part: int) -> str:
        """Name of the file of one slice."""
        scene = SCENES[self.scene][0]
        return f"{AUDIO}/{scene}-{self.identifier}-{10_000 + self.segment}-{part}-{self.device}.wav"


def recordings(clips: int) -> Iterator[Recording]:
    """Yield the recordings of so many clips; fewer clips are the first ones of more.

    Every fourth recording is that of the one before it by another device.
    """
    for number in range(clips // SLICES):
        scene, index = number % len(SCENES), number // len(SCENES)
        is_copy = index % 4 == 3
        device = DEVICES[(index // 4 + scene) % len(DEVICES)] if is_copy else "a"
        segment = index - is_copy
        yield Recording(scene, segment % LOCATIONS, segment * len(SCENES) + scene, device)


def sound(recording: Recording) -> NDArray[np.int16]:
    """Return the samples (10 x `RATE`,): noise through two resonances, those of the scene and of the location."""
    rng = np.random.default_rng([recording.segment, 31])
    noise = rng.random(SLICES * RATE, np.float32) - np.float32(0.5)
    for hz, radius in ((300 * 1.4**recording.scene, 0.9), (200 * 1.08**recording.location, 0.97)):
        angle = 2 * np.pi * hz / RATE
        feedback = np.array([1.0, -2 * radius * np.cos(angle), radius**2], np.float32)
        noise = lfilter(np.float32([1 - radius]), feedback, noise).astype(np.float32)
    if recording.device != "a":  # another microphone: a tilt, and noise of its own
        own = np.random.default_rng([recording.segment, DEVICES.index(recording.device)])
        noise = lfilter(np.float32([0.8, 0.2]), np.float32([1]), noise).astype(np.float32)
        noise += np.float32(0.01) * (own.random(len(noise), np.float32) - np.float32(0.5))
    noise *= np.float32(12_000) / np.abs(noise).max()
    noise += np.float32(40) * (rng.random(len(noise), np.float32) - np.float32(0.5))  # the floor of every microphone
    return noise.astype(np.int16)


def write_recording(recording: Recording, folder: Path) -> None:
    """Write the ten files of a recording, unless they are there."""
    last = folder / recording.name(SLICES - 1)
    if last.exists() and last.stat().st_size == len(wav_header(RATE)) + 2 * RATE:
        return
    samples, header = sound(recording), wav_header(RATE)
    for part in range(SLICES):
        data = samples[part * RATE : (part + 1) * RATE].tobytes()
        (folder / recording.name(part)).write_bytes(header + data)


def wav_header(frames: int) -> bytes:
    """Return the header of a mono file of 16 bits."""
    size = 2 * frames
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + fmt + struct.pack("<4sI", b"data", size)


def write_recordings(folder: Path, clips: int) -> None:
    """Write the files of so many clips to `audio/`, except those that are there."""
    (folder / AUDIO).mkdir(parents=True, exist_ok=True)
    work = functools.partial(write_recording, folder=folder)
    for _ in map_processes(work, list(recordings(clips)), None, max_chunk=8):
        pass


def write_tables(folder: Path, clips: int) -> None:
    """Write `meta.csv` and the official split of so many clips: every fifth location is for the test."""
    (folder / "evaluation_setup").mkdir(parents=True)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    meta = ["filename\tscene_label\tidentifier\tsource_label"]
    for recording in recordings(clips):
        scene, place = SCENES[recording.scene][0], recording.identifier
        names = [recording.name(part) for part in range(SLICES)]
        meta += [f"{name}\t{scene}\t{place}\t{recording.device}" for name in names]
        subset = "test" if recording.location % 5 == 1 else "train"
        lists[subset] += [f"{name}\t{scene}" for name in names]
    (folder / "meta.csv").write_text("\n".join(meta) + "\n")
    for subset, lines in lists.items():
        text = "\n".join(["filename\tscene_label", *lines]) + "\n"
        (folder / "evaluation_setup" / f"fold1_{subset}.csv").write_text(text)
