"""Model files from unknown sources: a damaged or hostile file is refused, and reading has no side effects."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutate_models import mutate, mutate_one
from fuzz.targets_models import scn
from helpers.model_bytes import GOOD, KNOWN
from scenelet.errors import ModelFileError
from scenelet.model.file import decode_model, encode_model

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "scn"


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_decode_model_of_a_mutated_file_succeeds_or_refuses(seed: int) -> None:
    rng = random.Random(seed)
    data = rng.choice((GOOD, KNOWN))
    for _ in range(rng.choice((1, 1, 2))):
        data = mutate(data, 1 << 14, rng.randrange(2**32), lambda part, _: mutate_one(part, rng))
    assert scn(data) in ("read", "refused", "frame")


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_encode_model_of_a_mutated_model_round_trips(seed: int) -> None:
    rng = random.Random(seed)
    try:
        model = decode_model(
            mutate(rng.choice((GOOD, KNOWN)), 1 << 14, seed, lambda part, _: mutate_one(part, rng)), "x"
        )
    except ModelFileError:
        return
    back = decode_model(encode_model(model), "x")
    plain = ("labels", "features", "window", "nodes", "encodings", "counts", "provenance", "results", "licenses")
    assert [getattr(back, field) for field in plain] == [getattr(model, field) for field in plain]
    for name, array in model.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    assert (back.known is None) == (model.known is None)
    if model.known is not None:
        np.testing.assert_array_equal(back.known.means, model.known.means)


AUDITED = """
import random, sys
from fuzz.mutate_models import mutate, mutate_one
from scenelet.inference.classifier import load
from scenelet.errors import ModelFileError
from scenelet.model.file import decode_model

path, files = sys.argv[1], [open(name, "rb").read() for name in sys.argv[1:]]
load(path, threads=1)  # imports everything that is imported late
rng = random.Random(0)
files += [mutate(files[0], 1 << 14, seed, lambda part, _: mutate_one(part, rng)) for seed in range(300)]
events, watching = [], False

def hook(event, arguments):
    if watching:
        events.append((event, *map(str, arguments[:2])))

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
print(json.dumps([read, events]))
"""
HARMLESS_EVENTS = ("object.__getattr__", "sys._getframe", "code.__new__")


def test_decode_model_opens_and_executes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    path.write_bytes(GOOD)
    result = subprocess.run(
        [sys.executable, "-c", f"import json\n{AUDITED}", str(path), *map(str, sorted(CORPUS.iterdir()))],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    read, events = json.loads(result.stdout)
    assert read > 20
    assert [event for event in events if event[0] not in HARMLESS_EVENTS] == [["open", str(path), "r"]]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.scn"]
