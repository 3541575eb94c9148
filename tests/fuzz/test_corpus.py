"""What fuzzing found once, and what it begins with, through the same targets: see `fuzz/`."""

from pathlib import Path

import pytest

from fuzz import targets

CORPUS = Path(__file__).parent / "corpus"
NAMES = [name for group in targets.GROUPS.values() for name in group]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_is_read_or_refused_never_worse(name: str) -> None:
    target = targets.load(name)
    for path in sorted((CORPUS / name).glob("*")):
        try:
            assert target(path.read_bytes()) in ("read", "refused", "frame")
        except Exception as error:
            error.add_note(f"reading {path}")
            raise


@pytest.mark.parametrize("name", NAMES)
def test_what_fuzzing_begins_with_can_be_read(name: str) -> None:
    target = targets.load(name)
    assert {target(data) for data in targets.seeds(name)} == {"read"}


def test_every_folder_of_the_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(NAMES)


def test_a_number_of_many_digits_is_looked_at_once() -> None:
    # going back over its digits takes minutes: enough for the timeout that ends a run, so it is not measured
    text = "filename\tscene_label\tindoor\toutdoor\ttransportation\n0.wav\tindoor\t" + "1" * 130_000 + "x\t0.1\t0.1\n"
    assert targets.load("output")(text.encode()) == "refused"
