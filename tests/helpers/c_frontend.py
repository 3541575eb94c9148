"""The C front end of given settings, compiled with a probe that runs it on samples."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.audio.samples import arrange_channels
from scenelet.audio.silence import is_silent
from scenelet.audio.windows import repeat_sound
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.export.c.frontend import frontend_files

PROBE = Path(__file__).with_name("frontend_probe.c")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wdouble-promotion"]
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
KINDS = {"float": [], "float16": ["-DSCENELET_INT16_SAMPLES=1"], "fixed": ["-DSCENELET_FIXED_POINT=1"]}
"""Macros of the variants: floating point with samples of float or int16, and fixed point."""


class Answers(NamedTuple):
    """Answers of the probe: silence (n,), and log-mel (n, channels, n_mels, frames) in dB."""

    silent: np.ndarray
    log_mel: np.ndarray


class CFrontend:
    """Compiled front end.

    Args:
        features, window: the settings.
        kind: a key of `KINDS`.
        folder: place for the sources and the program.
        options: options of the compiler.
    """

    def __init__(
        self,
        features: FeatureConfig,
        window: WindowConfig,
        kind: str,
        folder: Path,
        options: list[str] = SANITIZERS,
    ) -> None:
        self.features, self.window = features, window
        self.dtype = np.float32 if kind == "float" else np.int16
        write_sources(features, window, folder)
        self.program = compile_c(folder, [*options, *KINDS[kind]], [PROBE])

    def windows(self, samples: np.ndarray) -> Answers:
        """Transform windows (n, channels, samples) of integers with 16 bits, one at a time."""
        return self._run(np.moveaxis(samples, 1, 2))

    def stream(self, samples: np.ndarray, block: int, hop: int) -> Answers:
        """Transform live sound (channels, n) of integers with 16 bits in blocks."""
        return self._run(samples.T, str(block), str(hop))

    def expected(self, samples: np.ndarray) -> Answers:
        """Transform windows (n, channels, samples) as training does."""
        log_mel, rate = LogMel(self.features), self.features.sample_rate
        silent, rows = [], []
        for each in np.float32(samples) / 32768:
            arranged = arrange_channels(each, self.features.channels)
            if self.window.pad_mode == "repeat":
                shortest = self.window.min_sound_samples(rate)
                arranged = repeat_sound(arranged, self.window.silence_threshold_db, shortest)
            silent.append(is_silent(arranged, rate))
            rows.append(log_mel(arranged))
        return Answers(np.array(silent), np.stack(rows))

    def _run(self, samples: np.ndarray, *arguments: str) -> Answers:
        scale = 32768 if self.dtype == np.float32 else 1
        data = np.ascontiguousarray((samples / scale).astype(self.dtype)).tobytes()
        done = subprocess.run([self.program, *arguments], input=data, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        n = self.window.samples(self.features.sample_rate)
        shape = self.features.n_mels, self.features.n_frames(n), self.features.n_channels
        rows = np.frombuffer(done.stdout, np.float32).reshape(-1, 1 + int(np.prod(shape)))
        log_mel = rows[:, 1:].reshape(len(rows), *shape)
        return Answers(rows[:, 0] == 1, np.moveaxis(log_mel, 3, 1))


def write_sources(features: FeatureConfig, window: WindowConfig, folder: Path) -> None:
    """Write the front end of these settings to a folder."""
    for name, text in frontend_files(changed(tiny_model(), features=features, window=window)).items():
        (folder / name).write_text(text, encoding="utf-8")


def compile_c(folder: Path, options: list[str], sources: list[Path], compiler: str = "gcc") -> Path:
    """Compile a program with the front end in `folder`. Skip the test if the compiler is missing."""
    if shutil.which(compiler) is None:
        pytest.skip(f"the compiler {compiler} is not installed")
    program = folder / "program"
    shared = [path for path in folder.glob("*.c") if not path.name.startswith("test_")]
    command = [compiler, *WARNINGS, *options, "-I", folder, *sources, *shared, "-o", program, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program
