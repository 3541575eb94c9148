"""Facts of each year's challenge."""

import pytest

from scenelet.evaluation.submission.challenge import CHALLENGES, DEVICES, TEN_SCENES


@pytest.mark.parametrize(
    ("year", "title", "label", "recordings", "seconds"),
    [
        (2020, "DCASE 2020 Task 1B", "Lastname_INST_task1b_1", 8_640, 10),
        (2021, "DCASE 2021 Task 1A", "Lastname_INST_task1a_1", 7_920, 10),
        (2022, "DCASE 2022 Task 1", "Lastname_INST_task1_1", 118_800, 1),
        (2023, "DCASE 2023 Task 1", "Lastname_INST_task1_1", 118_800, 1),
        (2024, "DCASE 2024 Task 1", "Lastname_INST_task1_1", 135_730, 1),
    ],
)
def test_challenges_have_the_published_facts(year: int, title: str, label: str, recordings: int, seconds: int) -> None:
    challenge = CHALLENGES[year]
    assert (challenge.year, challenge.title, challenge.example_label) == (year, title, label)
    assert (challenge.recordings, challenge.clip_seconds) == (recordings, seconds)
    assert challenge.label_pattern.fullmatch(label)
    assert not challenge.label_pattern.fullmatch(label.replace("_1", "_5"))
    assert ("device_wise" if challenge.devices else "") == ("" if year == 2020 else "device_wise")
    if year > 2020:
        assert challenge.labels == TEN_SCENES == tuple(sorted(TEN_SCENES))
        assert challenge.devices == DEVICES


def test_output_endings_have_a_file_per_split() -> None:
    assert CHALLENGES[2023].output_endings == (".output.csv",)
    assert CHALLENGES[2024].output_endings == tuple(f".output.split_{n}.csv" for n in (5, 10, 25, 50, 100))


@pytest.mark.parametrize("label", ["Müller_JKU_task1_1", "Smith-Jones_A-B_task1_4"])
def test_label_pattern_takes_letters_digits_and_hyphens(label: str) -> None:
    assert CHALLENGES[2022].label_pattern.fullmatch(label)


@pytest.mark.parametrize("label", ["A_task1_1", "A_B_task1_0", "A_B_C_task1_1", "A/B_C_task1_1", "A.x_B_task1_1", ""])
def test_label_pattern_refuses_other_names(label: str) -> None:
    assert not CHALLENGES[2022].label_pattern.fullmatch(label)
