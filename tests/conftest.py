"""Fixtures for all tests: a cache of their own, small recordings, and the real ones when they are there."""

import os

# The networks of these tests are tiny: threads cost more than they save, most of all on a busy machine.
# Set before torch and NumPy are imported; subprocesses inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import settings

from helpers.browser import ARGUMENTS, EXAMPLE, executable
from scenelet.inference.telemetry import import_runtime

settings.register_profile("any machine", deadline=None)  # no test depends on how long it takes
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that take more than about 8 s."""
    config.addinivalue_line("markers", "slow: takes more than about 8 s")


@pytest.fixture(scope="session")
def openvino() -> ModuleType:
    """The package, where it is installed, imported as scenelet does: it tells nobody."""
    if find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    return import_runtime("openvino")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's feature cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCENELET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _real(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set: no real recordings to test with")
    return Path(folder)


@pytest.fixture
def esc10() -> Path:
    return _real("SCENELET_ESC10")


@pytest.fixture
def tau() -> Path:
    return _real("SCENELET_TAU")


@pytest.fixture(scope="session")
def tone_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV data set that a tiny network learns at once: low and high tones in noise, 0.6 s each."""
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(7)
    rows = ["filename,label,fold,group"]
    for label, low, high in (("low", 200, 400), ("high", 2000, 3000)):
        for i in range(12):
            hz = rng.uniform(low, high)
            t = np.arange(int(0.6 * 8000)) / 8000
            sound = 0.3 * np.sin(2 * np.pi * hz * t) + 0.02 * rng.standard_normal(len(t))
            soundfile.write(root / f"{label}{i}.wav", sound, 8000)
            rows.append(f"{label}{i}.wav,{label},{i % 3 + 1},{label}{i // 2 * 2}")
    (root / "tones.csv").write_text("\n".join(rows) + "\n")
    return root / "tones.csv"


@pytest.fixture(scope="session")
def device_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV data set of tones like `tone_set`, with its own split, that several devices recorded.

    Device a records the sound as it is, s1 a quarter of it, which is 12 dB less, and s4 half of it. s4 has no low tone
    for training, and the device of two test clips is unknown.
    """
    root = tmp_path_factory.mktemp("devices")
    rng = np.random.default_rng(8)
    rows = ["filename,label,split,group,device"]
    t = np.arange(int(0.6 * 8000)) / 8000
    for label, low, high in (("low", 200, 400), ("high", 2000, 3000)):
        for i in range(6):
            sound = 0.3 * np.sin(2 * np.pi * rng.uniform(low, high) * t) + 0.02 * rng.standard_normal(len(t))
            split = "test" if i < 2 else "train"
            for device, gain in (("a", 1.0), ("s1", 0.25), ("s4", 0.5), ("unknown", 0.5)):
                is_left_out = {"s4": split == "train" and label == "low", "unknown": i != 0}.get(device, False)
                if not is_left_out:
                    name = f"{label}{i}-{device}.wav"
                    soundfile.write(root / name, gain * sound, 8000, subtype="FLOAT")
                    rows.append(f"{name},{label},{split},{label}{i},{device}")
    (root / "devices.csv").write_text("\n".join(rows) + "\n")
    return root / "devices.csv"


@pytest.fixture(scope="session")
def tiny_settings() -> list[str]:
    """Settings under which the tone set trains in a second or two."""
    return [
        "features.sample_rate=8000",
        "features.n_fft=256",
        "features.hop_length=128",
        "features.n_mels=32",
        "features.channels=mono",
        "window.seconds=0.6",
        "network.name=shared_resnet",
        "network.width=8",
        "network.repeats=2",
        "schedule.batch_size=4",
        "augment.time_roll=2",
        "augment.gain_db=3",
        "schedule.ema_epochs=0.5",
        "precision=fp32",
    ]


@pytest.fixture
def write_wav(tmp_path: Path) -> Callable[..., Path]:
    def write(samples: np.ndarray, rate: int, name: str = "clip.wav", subtype: str = "FLOAT") -> Path:
        path = tmp_path / name
        soundfile.write(path, samples.T, rate, subtype=subtype if path.suffix == ".wav" else None)
        return path

    return write


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """Start a Chromium with these arguments; skips where it is not installed (`make chromium`, on Debian)."""
    path = executable()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # on a busy machine; what holds at once is seen at once
    with sync_playwright() as playwright:
        launched = []

        def start(*arguments: str) -> Any:
            launched.append(playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments]))
            return launched[-1]

        yield start
        for one in launched:
            one.close()


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any]) -> Any:
    """A Chromium, see `browser.opened`."""
    return launch()


@pytest.fixture(scope="session")
def microphone_browser(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Browser whose microphone plays barking and then noise that gets louder, in a loop."""
    sound, rate = soundfile.read(EXAMPLE)
    bark = np.tile(soxr.resample(sound, rate, 48000), 2)
    noise = np.linspace(0, 0.5, 4 * 48000) * np.random.default_rng(0).standard_normal(4 * 48000).clip(-2, 2)
    fake = tmp_path_factory.mktemp("microphone") / "dog.wav"
    soundfile.write(fake, np.concatenate([bark, noise]), 48000, subtype="PCM_16")
    return launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={fake}",
    )
