"""The C front end: its log-mel of a window in memory equals that of training."""

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.c_frontend import KINDS, SANITIZERS, WARNINGS, CFrontend, write_sources
from helpers.tiny_model import changed, tiny_model
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import ModelFileError
from scenelet.export.c.frontend import frontend_files
from scenelet.export.c.tables import Tables, frontend_ram

BOUND_DB = {"float": 0.01, "float16": 0.01, "fixed": 0.05}
FIXED_BOUND_DB_OF_LARGE_TRANSFORM = 0.5  # a ramp's lowest bins are 120 dB above the others
RATE = 8000
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mono": ({"channels": "mono", "n_fft": 256, "hop_length": 100}, {}),
    "one channel": (
        {"channels": 3, "n_fft": 512, "hop_length": 128},
        {"pad_mode": "repeat", "min_sound_seconds": 0.01},
    ),
    "smallest n_fft": ({"n_fft": 16, "hop_length": 7, "n_mels": 4}, {"seconds": 0.05}),
    "stereo, magnitude, hamming": (
        {"channels": "stereo", "n_fft": 512, "win_length": 300, "window_function": "hamming", "power": 1},
        {"pad_mode": "repeat"},
    ),
    "paper": (
        {"channels": "mid-side", "n_fft": 128, "hop_length": 64, "log_before_mel": True, "a_weighting": True},
        {},
    ),
    "decibels of magnitude before mel, odd window": (
        {"channels": "stereo", "n_fft": 256, "win_length": 201, "log_before_mel": True, "power": 1, "top_db": 40.0},
        {"pad_mode": "repeat", "silence_threshold_db": 40.0, "min_sound_seconds": 0.05},
    ),
    "hop above n_fft": ({"channels": "mid-side", "n_fft": 64, "hop_length": 100}, {"pad_mode": "repeat"}),
    "empty bands": ({"n_fft": 64, "n_mels": 128, "fmin_hz": 300.0, "fmax_hz": 2000.0, "top_db": 200.0}, {}),
    "shortest window": ({"n_fft": 1024, "hop_length": 200}, {"seconds": 513 / RATE}),
    "small range": ({"n_fft": 2048, "top_db": 0.5}, {"pad_mode": "repeat", "min_sound_seconds": 5.0}),
    "largest n_fft": ({"n_fft": 65536, "hop_length": 20000, "channels": "mono"}, {"seconds": 5.0}),
}


def settings(name: str) -> tuple[FeatureConfig, WindowConfig]:
    features, window = SETTINGS[name]
    defaults = {"sample_rate": RATE, "channels": "mono", "hop_length": 256, "n_mels": 20}
    return FeatureConfig(**defaults | features), WindowConfig(**{"seconds": 0.5} | window)


def windows(features: FeatureConfig, window: WindowConfig) -> np.ndarray:
    """Return windows (n, channels, samples) of integers: loud, quiet, short and silent ones."""
    n, rng = window.samples(features.sample_rate), np.random.default_rng(1)
    shape = features.n_channels, n
    noise, time = rng.normal(0, 1, shape), np.arange(n)
    burst = np.zeros(shape)
    burst[:, n // 3 : n // 2] = 8000 * noise[:, n // 3 : n // 2]
    click, last, ends = np.zeros(shape), np.zeros(shape), np.full(shape, 200.0)
    click[-1, n // 5] = -32768
    last[0, -1] = 1
    # 200 is exactly 40 dB below 20000, which a comparison in other arithmetic could take for louder
    ends[:, n // 4 : n // 2] = np.sign(noise[:, n // 4 : n // 2]) * 20000
    return np.clip(
        np.stack(
            [
                3000 * noise,
                2 * noise,
                40000 * np.sign(noise),
                burst,
                click,
                last,
                ends,
                np.zeros(shape),
                np.full(shape, -32768),
                np.broadcast_to(32767 * np.sin(time), shape),
                np.broadcast_to(20 * np.sin(0.7 * time) + 0.5 * time, shape),
            ]
        ).round(),
        -32768,
        32767,
    ).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_log_mel_of_a_window_equals_that_of_training(name: str, kind: str, tmp_path: Path) -> None:
    features, window = settings(name)
    frontend = CFrontend(features, window, kind, tmp_path)
    samples = windows(features, window)
    found, expected = frontend.windows(samples), frontend.expected(samples)
    difference = np.abs(found.log_mel - expected.log_mel).max(axis=(1, 2, 3))
    large = kind == "fixed" and features.n_fft > 8192
    assert difference.max() < (FIXED_BOUND_DB_OF_LARGE_TRANSFORM if large else BOUND_DB[kind]), difference
    assert found.silent.tolist() == expected.silent.tolist()


@pytest.mark.parametrize("kind", ["float", "fixed"])
def test_log_mel_of_real_recordings_equals_that_of_training(
    kind: str, example_windows: tuple[FeatureConfig, WindowConfig, np.ndarray], tmp_path: Path
) -> None:
    features, window, samples = example_windows
    frontend = CFrontend(features, window, kind, tmp_path, ["-O2"])
    difference = np.abs(frontend.windows(samples).log_mel - frontend.expected(samples).log_mel)
    assert difference.max() < {"float": 0.001, "fixed": 0.02}[kind]
    assert difference.mean() < {"float": 1e-5, "fixed": 0.0012}[kind]


@pytest.fixture(scope="module")
def example_windows() -> tuple[FeatureConfig, WindowConfig, np.ndarray]:
    """Settings of the built-in model, and windows (n, 1, samples) of its example."""
    from scenelet.audio.windows import windows as cut
    from scenelet.model.file import read_model
    from scenelet.model.pretrained import built_in, example

    model = read_model(built_in("esc10"))
    raw = model.window.model_copy(update={"pad_mode": "zeros"})
    samples = np.stack(list(cut(example("esc10"), model.features, raw)))
    return model.features, model.window, np.clip((samples * 32768).round(), -32768, 32767)


@pytest.mark.parametrize("frequency", [15.0, 25.0])
@pytest.mark.parametrize("peak_db", [-81.0, -79.0, -60.0])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_silence_is_that_of_the_python_detector(
    frequency: float, peak_db: float, offset: float, silence_frontend: dict[str, CFrontend]
) -> None:
    for kind, frontend in silence_frontend.items():
        n = frontend.window.samples(RATE)
        amplitude = 10 ** (peak_db / 20) * np.array([[[1.0], [0.2]]])
        tone = offset + amplitude * np.sin(2 * np.pi * frequency * np.arange(n) / RATE)
        samples = tone * 32768 if kind == "float" else (tone * 32768).round()
        assert frontend.windows(samples).silent.tolist() == frontend.expected(samples).silent.tolist()


def test_a_drift_at_the_beginning_is_no_sound(silence_frontend: dict[str, CFrontend]) -> None:
    drift = 1600 * np.sin(2 * np.pi * np.arange(RATE) / RATE) * np.ones((1, 2, 1))
    frontend = silence_frontend["float"]
    assert frontend.windows(drift).silent.tolist() == frontend.expected(drift).silent.tolist() == [True]


@pytest.fixture(scope="module")
def silence_frontend(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CFrontend]:
    features = FeatureConfig(sample_rate=RATE, channels="stereo", n_fft=64, n_mels=2)
    return {
        kind: CFrontend(features, WindowConfig(seconds=1.0), kind, tmp_path_factory.mktemp(kind))
        for kind in ("float", "fixed")
    }


def test_invalid_samples_are_no_undefined_behavior(silence_frontend: dict[str, CFrontend]) -> None:
    samples = np.zeros((2, 2, RATE))
    samples[0, 0, 5] = np.nan
    samples[1, 0, 5] = 32768 * 1e30
    assert silence_frontend["float"].windows(samples).silent.tolist() == [False, False]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_make_test_passes(compiler: str, tmp_path: Path) -> None:
    if shutil.which("make") is None or shutil.which(compiler) is None:
        pytest.skip(f"make or the compiler {compiler} is not installed")
    write_sources(*settings("paper"), tmp_path)
    options = SANITIZERS if compiler == "gcc" else ["-O2"]
    command = ["make", "test", f"CC={compiler}", f"CFLAGS={' '.join(options)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("log-mel differs by at most 0.0") == 2
    golden = tmp_path / "golden_frontend.h"
    golden.write_text(golden.read_text().replace("golden_log_mel[] = {\n    -", "golden_log_mel[] = {\n    "))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4", "cortex-m7"])
def test_compiles_for_microcontrollers(cpu: str, tmp_path: Path) -> None:
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None:
        pytest.skip("the compiler arm-none-eabi-gcc is not installed")
    write_sources(*settings("stereo, magnitude, hamming"), tmp_path)
    sources = [path.name for path in tmp_path.glob("*.c")]
    target = [compiler, *WARNINGS, "-O2", "-mthumb", f"-mcpu={cpu}", "-c", *sources]
    for kind in KINDS:
        done = subprocess.run([*target, *KINDS[kind]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    # the last is fixed point: its objects call no function for floating point
    objects = [path.name for path in tmp_path.glob("*.o") if path.name != "test_frontend.o"]
    names = subprocess.run(["arm-none-eabi-nm", "-u", *objects], cwd=tmp_path, capture_output=True, text=True).stdout
    calls = {line.split()[-1] for line in names.splitlines() if " U " in line}
    assert "scenelet_transform" in calls
    assert not {name for name in calls if name.startswith(("__aeabi_f", "__aeabi_d", "__aeabi_i2", "log", "sqrt"))}


@pytest.mark.parametrize("kind", ["float", "fixed"])
@pytest.mark.parametrize(("cpu", "machine"), [("m3", "mps2-an385"), ("m4", "mps2-an386"), ("m7", "mps2-an500")])
def test_emulated_microcontroller_computes_the_same(cpu: str, machine: str, kind: str, tmp_path: Path) -> None:
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed")
    write_sources(*settings("one channel"), tmp_path)
    program = tmp_path / "test.elf"
    start, script = Path(__file__).parents[2] / "helpers" / "emulated_start.c", "emulated.ld"
    target = [f"-mcpu=cortex-{cpu}", "-mthumb", "--specs=rdimon.specs", "-nostartfiles", "-T", start.with_name(script)]
    sources = [start, *tmp_path.glob("*.c")]
    command = ["arm-none-eabi-gcc", "-std=c99", "-O2", *target, *KINDS[kind], *sources, "-lm", "-o", program]
    assert subprocess.run(command, capture_output=True).returncode == 0
    emulator = ["qemu-system-arm", "-M", machine, "-display", "none", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run([*emulator, "-kernel", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "log-mel differs by at most 0.0" in done.stdout


@pytest.mark.parametrize("kind", ["float", "fixed"])
@pytest.mark.parametrize("name", ["mono", "paper", "one channel"])
def test_ram_in_the_header_is_that_of_the_compiler(name: str, kind: str, tmp_path: Path) -> None:
    features, window = settings(name)
    write_sources(features, window, tmp_path)
    ram = frontend_ram(Tables(changed(tiny_model(), features=features, window=window)))
    stream = ram["stream" if kind == "fixed" else "stream_float"]
    # structs may end in padding to a multiple of 4 or 8 bytes
    (tmp_path / "sizes.c").write_text(
        '#include "scenelet_frontend.h"\n'
        f"typedef char frontend[sizeof(scenelet_frontend) == {ram['frontend']} ? 1 : -1];\n"
        f"typedef char stream[sizeof(scenelet_stream) - {stream} < 8 ? 1 : -1];\n"
    )
    compiler = shutil.which("gcc") or pytest.skip("the compiler gcc is not installed")
    done = subprocess.run([compiler, "-c", *KINDS[kind], "sizes.c"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_other_sizes_of_the_transform_are_refused() -> None:
    model = tiny_model()
    features = model.features.model_copy(update={"n_fft": 1000})
    with pytest.raises(ModelFileError, match=r"n_fft = 1000, and .* train with features\.n_fft = 1024"):
        frontend_files(dataclasses.replace(model, features=features))


def test_too_narrow_bands_are_refused() -> None:
    features = FeatureConfig(
        sample_rate=1000, n_fft=65536, n_mels=1024, fmin_hz=10, fmax_hz=11, log_before_mel=True, hop_length=1000
    )
    with pytest.raises(ModelFileError, match="mel bands are too narrow"):
        frontend_files(changed(tiny_model(), features=features, window=WindowConfig(seconds=60)))
