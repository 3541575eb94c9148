"""`scenelet listen`: a recording, pipes, a simulated sound card, and errors of each."""

import io
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Command = Callable[..., tuple[int, str, str]]
RATE = 8000


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE, subtype="PCM_16")
    return path


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))


def test_listen_recording_as_json_lines(command: Command, model: Path, noise: Path) -> None:
    code, out, err = command("listen", model, noise, "--hop", 0.2, "--format", "json")
    assert code == 0
    assert "the first answer after 0.2 s" in err
    assert [row["seconds"] for row in rows(out)] == [0.2, 0.4, 0.6, 0.8, 1.0]
    for row in rows(out):
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert (row["label"] is None) == row["unsure"]


def test_listen_pipes_give_the_same_as_the_recording(
    command: Command, model: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("listen", model, "-", "--hop", 0.1, "--format", "json")
    _, expected, _ = command("listen", model, noise, "--hop", 0.1, "--format", "json")
    pipe(monkeypatch, noise.read_bytes())
    assert command(*asked) == (0, expected, command("listen", model, noise, "--hop", 0.1, "--format", "json")[2])
    samples, _ = soundfile.read(noise, dtype="int16")
    pipe(monkeypatch, samples.astype("<i2").tobytes())
    assert command(*asked, "--sample-rate", RATE)[1] == expected
    pipe(monkeypatch, (samples.astype(np.float32) / 2**15).astype("<f4").tobytes())
    assert command(*asked, "--sample-rate", RATE, "--sample-format", "f32", "--channels", 1)[1] == expected
    pipe(monkeypatch, b"")
    code, out, err = command(*asked, "--sample-rate", RATE)
    assert (code, out, "no sound came" in err) == (1, "", True)


def test_listen_recording_prints_begin_and_end_of_each_answer(command: Command, model: Path, noise: Path) -> None:
    code, out, _ = command("listen", model, noise, "--hop", 0.2, "--threshold", 0)
    assert code == 0
    assert out.startswith("0:00-0:01  ")
    assert command("listen", model, noise, "--hop", 0.2, "--threshold", 1)[1].startswith("0:00-0:01  unsure  ")


def test_listen_names_silence_between_sounds(command: Command, model: Path, tmp_path: Path) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    sound[RATE : 2 * RATE] = 0
    soundfile.write(tmp_path / "gap.wav", sound, RATE, subtype="PCM_16")
    _, out, _ = command("listen", model, tmp_path / "gap.wav", "--hop", 0.2, "--threshold", 0, "--smoothing", 0)
    assert "  silence  " in out.splitlines()[1]
    assert len(out.splitlines()) == 3


def test_listen_live_prints_changes(
    command: Command, model: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, noise.read_bytes())
    code, out, _ = command("listen", model, "-", "--hop", 0.2, "--threshold", 1)
    assert code == 0
    assert out.startswith("0:00  unsure  ")


@pytest.mark.parametrize(
    ("arguments", "message", "expected_code"),
    [
        (["nothing.wav"], "nothing.wav: no such file", 1),
        (["-"], "standard input: not a WAV; for raw samples give --sample-rate", 1),
        (["-", "--sample-rate", "10"], "--sample-rate 10: give the samples' rate in Hz", 2),
        (["-", "--device", "1"], "--device: has no effect on a WAV (no --sample-rate); leave it out", 2),
        (["-", "--channels", "1"], "--channels: has no effect on a WAV (no --sample-rate); leave it out", 2),
        (["NOISE", "--sample-rate", "8000"], "noise.wav; leave it out", 2),
        (["NOISE", "--sample-format", "f32"], "--sample-format: has no effect on", 2),
        (["--real-time"], "--real-time: has no effect on the microphone; leave it out", 2),
        (["NOISE", "--hop", "3"], "a hop of 3 s; give one from 0.05 s up to the window's 0.2 s", 2),
        (["NOISE", "--threshold", "7"], "--threshold 7: give a probability from 0 to 1", 2),
    ],
)
def test_listen_wrong_arguments_are_refused(
    command: Command,
    model: Path,
    noise: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
    expected_code: int,
) -> None:
    pipe(monkeypatch, b"some text that is no sound")
    code, out, err = command("listen", model, *[str(noise) if one == "NOISE" else one for one in arguments])
    assert (code, out) == (expected_code, "")
    assert message in err


class Card:
    """What of sounddevice we use, with a card that plays one second and is then unplugged."""

    class PortAudioError(Exception):
        """As sounddevice's."""

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples
        self.opened: list[Any] = []
        self.starts = True

    def query_devices(self, device: object, kind: str) -> dict[str, float]:
        if device == "none":
            raise ValueError("No input device matching 'none'")
        return {"max_input_channels": 1, "default_samplerate": float(RATE)}

    def InputStream(self, rate: int, size: int, device: object, channels: int, dtype: str, callback: Any) -> Any:  # noqa: N802
        assert (rate, channels, dtype) == (RATE, 1, "float32")
        card = self

        class Opened:
            closed = False

            def start(self) -> None:
                if not card.starts:
                    raise card.PortAudioError("busy")
                memory = np.empty((size, 1), np.float32)  # as in PortAudio, all blocks come in the same memory
                for start in range(0, len(card.samples), size):
                    overflow = types.SimpleNamespace(input_overflow=start == 0)
                    memory[:, 0] = card.samples[start : start + size]
                    callback(memory, size, None, overflow)

            def close(self) -> None:
                self.closed = True

        self.opened.append(Opened())
        return self.opened[-1]


def test_listen_sound_card_that_is_unplugged(
    command: Command, model: Path, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, _ = soundfile.read(noise, dtype="float32")
    card = Card(samples)
    monkeypatch.setitem(sys.modules, "sounddevice", card)  # type: ignore[arg-type]
    monkeypatch.setattr("scenelet.audio.capture.UNPLUGGED_SECONDS", 0.01)
    _, expected, _ = command("listen", model, noise, "--hop", 0.2, "--format", "json")
    code, out, err = command("listen", model, "--hop", 0.2, "--format", "json")
    assert code == 1
    assert "the sound card gives no more sound; connect it again" in err
    assert out == expected
    assert "warning: some sound was lost" in err
    assert card.opened[0].closed
    code, _, err = command("listen", model, "--device", "none")
    assert code == 2
    assert "`python -m sounddevice` lists the devices for --device" in err


def test_listen_without_extra_names_the_command(command: Command, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, err = command("listen", model)
    assert code == 1
    assert 'pip install "scenelet[mic]"' in err


@pytest.mark.parametrize("arguments", [["--hop", 99], ["--device", "0"]])
def test_listen_closes_the_sound_card_on_errors(
    command: Command, model: Path, noise: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object]
) -> None:
    card = Card(soundfile.read(noise, dtype="float32")[0])
    card.starts = "--hop" in arguments
    monkeypatch.setitem(sys.modules, "sounddevice", card)  # type: ignore[arg-type]
    assert command("listen", model, *arguments)[0] == 2
    assert [opened.closed for opened in card.opened] == [True]
