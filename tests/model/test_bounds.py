"""Model files from strangers: what they may ask for is bounded, and reading one does nothing but read."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fuzz.mutate_models import mutate, mutate_one
from fuzz.targets_models import scn
from helpers.model_bytes import GOOD, open_up
from scenelet.config.recipes import load_recipe
from scenelet.errors import ModelFileError
from scenelet.model import header as model_head
from scenelet.model.file import decode_model, encode_model
from scenelet.model.header import Header

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "scn"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bands-of-no-width", "fmin_hz 100 is not below fmax_hz 100 by 1 Hz"),
        ("counts-of-4200-digits", "head counts conv is not valid"),
        ("deep", "recursion limit"),
        ("infinite-by-overflow", "not finite"),
        ("input-alone-too-large", "numbers in memory together (limit 134,217,728)"),
        ("kernel-beyond-int16", "a kernel of 1 x 40000 is too large (limit 4096)"),
        ("key-twice", "a key that stands twice"),
        ("many-bad-nodes", "head nodes 0 is not valid"),
        ("matrix-of-mel-bands", "n_mels times n_fft"),
        ("memory-together", "numbers in memory together (limit 134,217,728)"),
        ("not-a-number", "not finite"),
        ("number-of-4200-digits", "too large"),
        ("operation-that-a-terminal-obeys", r"Input tag '\x1b[2J'"),
        ("sound-longer-than-numbers", "head window min_sound_seconds is not valid"),
        ("strides-that-multiply", "its strides reach over more than"),
        ("window-at-every-sample", "a second of sound takes 8,000.0 windows"),
        ("work-without-end", "operations (limit 274,877,906,944)"),
    ],
)
def test_what_asks_too_much_is_refused_and_the_bound_is_named(name: str, words: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        decode_model((CORPUS / name).read_bytes(), "x.scn")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_of_many_bad_items_one_is_reported() -> None:
    head, _ = open_up(GOOD)
    for changes in ({"nodes": [0] * 1000}, {"labels": [0] * 1000}, {"arrays": [0] * 1000}, {"licenses": [0] * 1000}):
        with pytest.raises(ValidationError) as caught:
            Header.model_validate_json(json.dumps(head | changes))
        assert caught.value.error_count() == 1


def test_the_bounds_leave_room_for_the_papers_network() -> None:
    config = load_recipe("paper")
    window = config.window.samples(config.features.sample_rate)
    assert 40 * config.features.n_frames(window) * config.features.n_fft < model_head.MAX_FRAMED
    assert 10 * config.features.n_mels * config.features.n_fft < model_head.MAX_MEL
    assert model_head.MAX_WORK > 100 * 2_270_000_000  # its multiply-accumulates for a window


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_a_mutated_file_with_a_right_checksum_is_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    data = GOOD
    for _ in range(rng.choice((1, 1, 2))):
        data = mutate(data, 1 << 14, rng.randrange(2**32), lambda part, _: mutate_one(part, rng))
    assert scn(data) in ("read", "refused", "frame")


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_what_could_be_read_is_written_and_read_again_as_it_is(seed: int) -> None:
    rng = random.Random(seed)
    try:
        model = decode_model(mutate(GOOD, 1 << 14, seed, lambda part, _: mutate_one(part, rng)), "x")
    except ModelFileError:
        return
    back = decode_model(encode_model(model), "x")
    plain = ("labels", "features", "window", "nodes", "encodings", "counts", "provenance", "results", "licenses")
    assert [getattr(back, field) for field in plain] == [getattr(model, field) for field in plain]
    for name, array in model.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)


WATCHED = """
import random, sys
from fuzz.mutate_models import mutate, mutate_one
from scenelet.inference.classifier import load
from scenelet.errors import ModelFileError
from scenelet.model.file import decode_model

path, files = sys.argv[1], [open(one, "rb").read() for one in sys.argv[1:]]
load(path, threads=1)  # what is imported late, is imported by this
rng = random.Random(0)
files += [mutate(files[0], 1 << 14, seed, lambda part, _: mutate_one(part, rng)) for seed in range(300)]
seen, watching = [], False

def hook(event, arguments):
    if watching:
        seen.append((event, *map(str, arguments[:2])))

sys.addaudithook(hook)
watching, read = True, 0
for data in files:
    try:
        decode_model(data, "x")
        read += 1
    except ModelFileError:
        pass
load(path, threads=1)
watching = False
print(json.dumps([read, seen]))
"""
HARMLESS = ("object.__getattr__", "sys._getframe", "code.__new__")


def test_reading_opens_nothing_but_the_file_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    path.write_bytes(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", f"import json\n{WATCHED}", str(path), *map(str, sorted(CORPUS.iterdir()))],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    read, seen = json.loads(done.stdout)
    assert read > 20
    assert [event for event in seen if event[0] not in HARMLESS] == [["open", str(path), "r"]]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.scn"]
