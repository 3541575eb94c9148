"""Replay of former findings and of the seeds of fuzzing, through the targets in `fuzz/`."""

from pathlib import Path

import pytest

from fuzz import targets

CORPUS = Path(__file__).parent / "corpus"
TARGET_NAMES = [name for group in targets.GROUPS.values() for name in group]


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_target_reads_or_refuses_every_former_finding(name: str) -> None:
    target = targets.load(name)
    for path in sorted((CORPUS / name).glob("*")):
        try:
            assert target(path.read_bytes()) in ("read", "refused", "frame")
        except Exception as error:
            error.add_note(f"reading {path}")
            raise


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_target_reads_its_seeds(name: str) -> None:
    target = targets.load(name)
    assert {target(data) for data in targets.seeds(name)} == {"read"}


def test_corpus_folders_are_names_of_targets() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGET_NAMES)


def test_output_with_a_number_of_many_digits_is_fast() -> None:
    # A backtracking parser takes minutes for these digits, which the timeout of the test run detects.
    text = "filename\tscene_label\tindoor\toutdoor\ttransportation\n0.wav\tindoor\t" + "1" * 130_000 + "x\t0.1\t0.1\n"
    assert targets.load("output")(text.encode()) == "refused"
