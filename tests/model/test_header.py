"""Headers from unknown sources: what they may ask for is bounded."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers.model_bytes import GOOD, open_up
from scenelet.config.recipes import load_recipe
from scenelet.errors import ModelFileError
from scenelet.model.file import decode_model
from scenelet.model.header import (
    MAX_FRAME_VALUES,
    MAX_LABELS,
    MAX_MEL_MATRIX,
    MAX_OPERATIONS,
    Header,
)

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "scn"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bands-of-no-width", "fmin_hz 100 is not below fmax_hz 100 by 1 Hz"),
        ("counts-of-4200-digits", "header counts conv is not valid"),
        ("deep", "recursion limit"),
        ("infinite-by-overflow", "not finite"),
        ("input-alone-too-large", "numbers in memory together (limit 134,217,728)"),
        ("kernel-beyond-int16", "a kernel of 1 x 40000 is too large (limit 4096)"),
        ("key-twice", "a repeated key"),
        ("many-bad-nodes", "header nodes 0 is not valid"),
        ("matrix-of-mel-bands", "n_mels times n_fft"),
        ("memory-together", "numbers in memory together (limit 134,217,728)"),
        ("not-a-number", "not finite"),
        ("number-of-4200-digits", "too large"),
        ("operation-that-a-terminal-obeys", r"Input tag '\x1b[2J'"),
        ("sound-longer-than-numbers", "header window min_sound_seconds is not valid"),
        ("strides-that-multiply", "its receptive field exceeds"),
        ("window-at-every-sample", "a second of sound takes 8,000.0 windows"),
        ("work-without-end", "operations (limit 274,877,906,944)"),
    ],
)
def test_decode_model_refuses_excess_and_names_the_bound(name: str, words: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        decode_model((CORPUS / name).read_bytes(), "x.scn")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_header_reports_the_first_of_many_invalid_items() -> None:
    header, _ = open_up(GOOD)
    for changes in ({"nodes": [0] * 1000}, {"labels": [0] * 1000}, {"arrays": [0] * 1000}, {"licenses": [0] * 1000}):
        with pytest.raises(ValidationError) as caught:
            Header.model_validate_json(json.dumps(header | changes))
        assert caught.value.error_count() == 1


def test_bounds_leave_room_for_the_papers_network() -> None:
    config = load_recipe("paper")
    window = config.window.samples(config.features.sample_rate)
    assert 40 * config.features.n_frames(window) * config.features.n_fft < MAX_FRAME_VALUES
    assert 10 * config.features.n_mels * config.features.n_fft < MAX_MEL_MATRIX
    assert MAX_OPERATIONS > 100 * 2_270_000_000  # its multiply-accumulates per window


def test_bounds_on_labels_and_probabilities_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    header, _ = open_up(GOOD)
    labels = [f"class {i}" for i in range(MAX_LABELS + 1)]
    with pytest.raises(ValidationError, match=r"10,001 labels \(limit 10,000\)"):
        Header.model_validate_json(json.dumps(header | {"labels": labels}))
    monkeypatch.setattr("scenelet.model.header.MAX_PROBABILITIES_PER_SECOND", 100)
    for hop, is_valid in ((0.1, True), (0.02, False)):
        window = {"window": header["window"] | {"hop_seconds": hop}}
        with nullcontext() if is_valid else pytest.raises(ValidationError, match="gives 150 probabilities"):
            Header.model_validate_json(json.dumps(header | window))
