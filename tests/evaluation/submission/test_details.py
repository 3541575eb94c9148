"""Details of a submission: the example, and messages for every fault of the file."""

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from helpers.example_submission import YEARS
from helpers.tiny_model import tiny_model
from scenelet.errors import OutputError, UsageError
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.details import (
    Details,
    example,
    fault_reason,
    read_details,
    unused_keys,
    write_example,
)
from scenelet.evaluation.submission.form import meta_text
from scenelet.evaluation.submission.meta import meta_information
from scenelet.evaluation.submission.validate_meta import check_meta

NAME = "Lastname_INST_task1b_1"
FIRST = CHALLENGES[2020]
EXAMPLE = example(FIRST)


@pytest.fixture
def details_file(tmp_path: Path) -> Path:
    path = tmp_path / "details.toml"
    path.write_text(EXAMPLE)
    return path


def test_write_example_is_valid_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    write_example(path, FIRST)
    assert isinstance(read_details(path, FIRST), Details)
    with pytest.raises(OutputError, match="exists already"):
        write_example(path, FIRST)
    with pytest.raises(OutputError, match="cannot be written"):
        write_example(tmp_path / "nowhere" / "d.toml", FIRST)


def test_read_details_knows_the_examples_optional_keys(tmp_path: Path) -> None:
    more = (
        'source_code = "https://example.org/repository"\nembeddings = "OpenL3"\nensemble_count = 2\n'
        'data_augmentation = "mixup, freqmix"\nexternal_data_usage = "pre-trained model"\n'
    )
    tail = '[[external_datasets]]\nname = "AudioSet"\nurl = "https://example.org"\ntotal_audio_length = 347980.0\n'
    for line in (*more.splitlines(), *tail.splitlines()):
        assert f"# {line.partition(' = ')[0]}" in EXAMPLE
    path = tmp_path / "d.toml"
    path.write_text(EXAMPLE.replace("[[authors]]", f"{more}\n[[authors]]", 1) + tail)
    details = read_details(path, FIRST)
    assert (details.ensemble_count, details.external_datasets[0].name) == (2, "AudioSet")
    meta = meta_text(meta_information({"": tiny_model()}, details, FIRST), FIRST.title)
    assert check_meta("x", meta.encode(), FIRST, NAME) == []


@pytest.mark.parametrize("year", YEARS)
def test_example_of_each_year_has_only_its_keys(year: int, tmp_path: Path) -> None:
    challenge, path = CHALLENGES[year], tmp_path / "d.toml"
    path.write_text(example(challenge))
    assert read_details(path, challenge).label == challenge.example_label
    # with every optional key of the first section
    first_section = example(challenge).partition("[[authors]]")[0]
    top = [line for line in re.findall(r"^(?:# )?(\w+ = .*)", first_section, re.MULTILINE) if "external" not in line]
    rest = example(challenge)[example(challenge).index("[[authors]]") :]
    path.write_text("\n".join([*top, rest]))
    details = read_details(path, challenge)
    assert details.data_augmentation == "mixup, freqmix"
    for key in unused_keys(challenge) - {"energy_consumption"}:
        path.write_text(f"{key} = 1\n{example(challenge)}")
        with pytest.raises(UsageError, match=f"{challenge.title} does not ask for the key '{key}'; delete it"):
            read_details(path, challenge)
    assert ("[energy_consumption]" in example(challenge)) == (year == 2023)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "Full', 'nome = "Full', "'nome'; did you mean 'name'?"),
        ('email = "', 'emial = "', "'authors #1.emial'; did you mean 'email'?"),
        ('label = "Lastname_INST_task1b_1"', 'label = "Lastname_INST_task1a_1"', "'label' must be <Name>"),
        ('label = "Lastname_INST_task1b_1"', "", "'label' is missing"),
        (
            'abbreviation = "Short"',
            'abbreviation = "Far too long"',
            "'abbreviation' must be text of at most 10 characters",
        ),
        ("first.last@example.org", "first.last", "'authors #1.email' must be an address"),
        (
            "\ncorresponding = true",
            "\ncorresponding = false",
            "'authors' must have exactly one author with corresponding = true, and has 0",
        ),
        ("\ncorresponding = true", '\ncorresponding = "yes"', "'authors #1.corresponding'"),
        ('location = "City, Country"', "", "'authors #1.affiliation.location' is missing"),
        ('lastname = "Lastname"', 'lastname = " "', "'authors #1.lastname' must be one line of text"),
        ("# ensemble_count = 1 ", 'ensemble_count = "2" ', "'ensemble_count'"),
        ("# ensemble_count = 1 ", "ensemble_count = 0 ", "'ensemble_count'"),
        ('# source_code = "https:', 'source_code = "ftp:', "'source_code' must be an address that begins"),
        (
            "# external_data_usage",
            "external_data_usage",
            "'external_datasets' must list the data of external_data_usage",
        ),
        ("[[authors]]", "[[authors", "not valid TOML"),
    ],
)
def test_read_details_names_the_fault(details_file: Path, old: str, new: str, words: str) -> None:
    assert old in EXAMPLE
    details_file.write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_details(details_file, FIRST)
    assert str(caught.value).startswith(f"{details_file}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_details_rejects_an_empty_list_of_authors(details_file: Path) -> None:
    start, end = EXAMPLE.index("[[authors]]"), EXAMPLE.index("# [[authors]]")
    details_file.write_text("authors = []\n" + EXAMPLE[:start] + EXAMPLE[end:])
    with pytest.raises(UsageError, match=r"key 'authors' must have at least 1 item, and has 0$"):
        read_details(details_file, FIRST)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Annotated[list[int], Field(min_length=2)], [1], "must have at least 2 items, and has 1"),
        (Annotated[list[int], Field(max_length=1)], [1, 2], "must have at most 1 item, and has 2"),
        (Annotated[tuple[int, ...], Field(min_length=1)], (), "must have at least 1 item, and has 0"),
        (Annotated[str, Field(min_length=1)], "", "must have at least 1 character"),
        (int, "x", "must be a valid integer, unable to parse string as an integer"),
    ],
)
def test_fault_reason_is_plain_english(kind: Any, value: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert fault_reason(caught.value.errors()[0]) == reason


def test_read_details_rejects_two_corresponding_authors(details_file: Path) -> None:
    author = EXAMPLE[EXAMPLE.index("[[authors]]") : EXAMPLE.index("# [[authors]]")]
    details_file.write_text(EXAMPLE + author)
    with pytest.raises(UsageError, match="must have exactly one author with corresponding = true, and has 2"):
        read_details(details_file, FIRST)


def test_read_details_rejects_data_without_a_usage(details_file: Path) -> None:
    details_file.write_text(
        EXAMPLE + '[[external_datasets]]\nname = "A"\nurl = "https://example.org"\ntotal_audio_length = 1\n'
    )
    with pytest.raises(UsageError, match="a description of their use in external_data_usage"):
        read_details(details_file, FIRST)


def test_read_details_of_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scenelet submit details"):
        read_details(tmp_path / "absent.toml", FIRST)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_details(tmp_path / "binary.toml", FIRST)
