"""The validator: a whole submission has no fault, each planted one is named, and nothing makes it fall over."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import LABELS, RECORDINGS, OutputRow, meta_text, output_text
from scenelet.evaluation.submission.validate import check_files, check_pair
from scenelet.evaluation.submission.validate_meta import MAX_META_BYTES, check_meta
from scenelet.evaluation.submission.validate_output import MAX_OUTPUT_BYTES, check_output

LABEL = "Chang_QTI_task1b_1"
OUTPUT, META = f"{LABEL}.output.csv", f"{LABEL}.meta.yaml"
AUTHOR = {
    "lastname": "Müller",
    "firstname": "A.",
    "email": "a.mueller@example.org",
    "corresponding": True,
    "affiliation": {"abbreviation": "I", "institute": "Institute", "department": None, "location": "City, Country"},
}
VALID = {
    "submission": {"label": LABEL, "name": "Name", "abbreviation": "Ten_chars_", "authors": [AUTHOR]},
    "system": {
        "description": {
            "input_sampling_rate": "48.0kHz",
            "acoustic_features": "log-mel energies",
            "embeddings": None,
            "data_augmentation": "mixup",
            "machine_learning_method": "ResNet",
            "ensemble_method_subsystem_count": None,
            "decision_making": None,
            "external_data_usage": None,
            "complexity_management": "pruning",
        },
        "complexity": {"total_parameters": 601862, "total_parameters_non_zero": 245587, "model_size": 463.9},
        "external_datasets": [],
        "source_code": None,
    },
    "results": {
        "development_dataset": {
            "overall": {"accuracy": 98.0, "logloss": 0.14},
            "class_wise": {label: {"accuracy": 98, "logloss": 0.14} for label in LABELS},
        }
    },
}
DATASET = {"name": "D", "url": "https://example.org", "total_audio_length": 60}


@cache
def whole_output() -> str:
    """All rows, of fast random probabilities."""
    shares = np.random.default_rng(0).dirichlet((0.3, 0.3, 0.3), RECORDINGS)
    rows = (
        OutputRow(n, LABELS[int(row.argmax())], dict(zip(LABELS, row, strict=True))) for n, row in enumerate(shares)
    )
    return output_text(rows)


def test_a_whole_submission_has_no_fault() -> None:
    assert check_pair(OUTPUT, whole_output().encode(), META, meta_text(VALID).encode()) == []
    windows = whole_output().replace("\n", "\r\n")
    assert check_pair(OUTPUT, windows.encode(), META, meta_text(VALID).encode()) == []


def replaced(line: int, content: str | None) -> str:
    """The whole output with one line, counted from 1, replaced or left out."""
    lines = whole_output().splitlines()
    lines[line - 1 : line] = [] if content is None else [content]
    return "\n".join(lines) + "\n"


def turned() -> str:
    """The whole output with the last column first: its rows can still be told."""
    rows = (line.split("\t") for line in whole_output().splitlines())
    return "\n".join("\t".join([row[-1], *row[:-1]]) for row in rows)


HEADER = "filename\tscene_label\tindoor\toutdoor\ttransportation"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (whole_output().replace("\t", ","), "line 1", "delimiter must be a tab"),
        (replaced(1, None), "line 1", "there is no header"),
        (replaced(1, HEADER.replace("indoor", "inside")), "line 1", "must be filename, scene_label, indoor"),
        (turned(), "line 1", "must be filename"),
        ("", "line 1", "empty"),
        ("\ufeff" + whole_output(), "line 1", "byte-order mark"),
        (replaced(9, None), "", "has 8,639 rows; it must have 8,640"),
        (replaced(9, None), "", "no row for 7.wav"),
        (whole_output() + "0.wav\tindoor\t1\t0\t0\n", "line 8642", "duplicate of line 2"),
        (whole_output() + "0.wav\tindoor\t1\t0\t0\n", "", "has 8,641 rows"),
        (whole_output() + "\n", "line 8642", "is empty"),
        (replaced(9, "8640.wav\tindoor\t1\t0\t0"), "line 9", "'8640.wav' is unknown"),
        (replaced(9, "07.wav\tindoor\t1\t0\t0"), "line 9", "'07.wav' is unknown"),
        (replaced(9, "7.flac\tindoor\t1\t0\t0"), "line 9", "'7.flac' is unknown"),
        (replaced(9, f"{'7' * 9999}.wav\tindoor\t1\t0\t0"), "line 9", "is unknown"),
        (replaced(9, "7.wav\tpark\t1\t0\t0"), "line 9", "scene_label 'park' is unknown"),
        (replaced(9, "7.wav\tindoor\tx\t0\t0"), "line 9", "indoor 'x' is not a number"),
        (replaced(9, "7.wav\tindoor\t1_0\t0\t0"), "line 9", "indoor '1_0' is not a number"),
        (replaced(9, "7.wav\tindoor\t1\tnan\t0"), "line 9", "outdoor 'nan' is not a number"),
        (replaced(9, "7.wav\tindoor\t1.5\t-0.5\t0"), "line 9", "indoor '1.5' is out of range"),
        (replaced(9, "7.wav\tindoor\t1.5\t-0.5\t0"), "line 9", "outdoor '-0.5' is out of range"),
        (replaced(9, "7.wav\tindoor\t1e999\t0\t0"), "line 9", "out of range"),
        (replaced(9, "7.wav\tindoor\t0.9\t0\t0.05"), "line 9", "sum to 0.9500; they must sum to 1 within 0.001"),
        (replaced(9, "7.wav\tindoor\t0.4\t0.6\t0"), "line 9", "must be outdoor"),
        (replaced(9, "7.wav\tindoor\t1\t0"), "line 9", "has 4 fields"),
        (replaced(9, "7.wav\tindoor\t1\t0\t" + "0" * 200_000), "line 9", "cannot be read"),
        ("x" * (MAX_OUTPUT_BYTES + 1), "", "larger than"),
        ("\n" * MAX_OUTPUT_BYTES, "", "and more; it must have 8,640"),
    ],
)
def test_faults_of_the_output_are_named(text: str, where: str, words: str) -> None:
    faults = check_output(OUTPUT, text.encode())
    assert any(fault.where == where and words in fault.message for fault in faults)
    assert all("must" in fault.message and "\n" not in str(fault) for fault in faults)
    assert all(str(fault).startswith(OUTPUT) for fault in faults)
    assert len(faults) <= 3  # and nothing else is blamed


def test_rows_that_are_all_right() -> None:
    rows = ["7.wav\tindoor\t0.3334\t0.3333\t0.3333", "8.wav\toutdoor\t0.5\t.5\t0e0", '"9.wav"\tindoor\t1\t0\t0']
    assert check_output(OUTPUT, "\n".join([HEADER, *rows]).encode(), partial=True) == []
    assert check_output(OUTPUT, f"{HEADER}\n".encode(), partial=True) == [
        Fault(OUTPUT, "", "has no rows; it must have from 1 to 8,640")
    ]


def test_not_utf8_names_the_line() -> None:
    assert check_output(OUTPUT, b"filename\n0\xff")[0].where == "line 2"
    assert check_meta(META, b"a: 1\nb: \xff")[0].where == "line 2"


def put(*path: Any, value: Any) -> Callable[[dict], None]:
    def change(meta: dict) -> None:
        for part in path[:-1]:
            meta = meta[part]
        meta[path[-1]] = value

    return change


def drop(*path: Any) -> Callable[[dict], None]:
    def change(meta: dict) -> None:
        for part in path[:-1]:
            meta = meta[part]
        del meta[path[-1]]

    return change


def second_author(meta: dict) -> None:
    meta["submission"]["authors"].append(copy.deepcopy(AUTHOR))


def external(usage: str | None, datasets: list | None) -> Callable[[dict], None]:
    def change(meta: dict) -> None:
        meta["system"]["description"]["external_data_usage"] = usage
        meta["system"]["external_datasets"] = datasets

    return change


DESCRIPTION, COMPLEXITY = ("system", "description"), ("system", "complexity")
DEVELOPMENT = ("results", "development_dataset")
FIRST = ("submission", "authors", 0)


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (drop("submission"), "submission", "is missing"),
        (drop("results"), "results", "is missing"),
        (put("system", value=[1]), "system", "is a list; it must be a section"),
        (drop("system", "complexity"), "system.complexity", "is missing"),
        (drop(*DESCRIPTION, "decision_making"), "system.description.decision_making", "is missing"),
        (put(*DESCRIPTION, "acoustic_features", value=None), "system.description.acoustic_features", "is null"),
        (put(*DESCRIPTION, "input_sampling_rate", value=48000), "system.description.input_sampling_rate", "48.0kHz"),
        (
            put(*DESCRIPTION, "ensemble_method_subsystem_count", value=1.5),
            "system.description.ensemble_method_subsystem_count",
            "whole number",
        ),
        (put("submission", "label", value="Chang_QTI_task1b_2"), "submission.label", f"must be {LABEL}"),
        (put("submission", "label", value="Chang_task1b_1"), "submission.label", "must be <Name>"),
        (put("submission", "abbreviation", value="Eleven_char"), "submission.abbreviation", "at most 10 characters"),
        (put("submission", "name", value=3), "submission.name", "is 3; it must be text"),
        (put("submission", "authors", value=[]), "submission.authors", "at least one"),
        (put("submission", "authors", value=["Chang"]), "submission.authors #1", "must be a section"),
        (second_author, "submission.authors", "2 are marked as corresponding; it must be exactly one"),
        (put(*FIRST, "corresponding", value=False), "submission.authors", "0 are marked"),
        (put(*FIRST, "corresponding", value="yes"), "submission.authors #1.corresponding", "true or false"),
        (put(*FIRST, "email", value="a at b"), "submission.authors #1.email", "must be an address"),
        (drop(*FIRST, "affiliation", "location"), "submission.authors #1.affiliation.location", "is missing"),
        (put(*COMPLEXITY, "total_parameters", value="601862"), "system.complexity.total_parameters", "whole number"),
        (put(*COMPLEXITY, "total_parameters", value=6e5), "system.complexity.total_parameters", "whole number"),
        (put(*COMPLEXITY, "total_parameters", value=True), "system.complexity.total_parameters", "whole number"),
        (
            put(*COMPLEXITY, "total_parameters_non_zero", value=700000),
            "system.complexity.total_parameters_non_zero",
            "at most total_parameters, 601862",
        ),
        (put(*COMPLEXITY, "model_size", value=500.001), "system.complexity.model_size", "from 0 to 500 (KB of 1024"),
        (put(*COMPLEXITY, "model_size", value="463.9 KB"), "system.complexity.model_size", "must be a number"),
        (put("system", "external_datasets", value=None), "system.external_datasets", "[] where there are none"),
        (put("system", "source_code", value="here"), "system.source_code", "https://"),
        (external(None, [DATASET]), "system.description.external_data_usage", "must say how"),
        (external("embeddings", []), "system.external_datasets", "must list what"),
        (
            external("embeddings", [{"name": "D", "url": "x"}]),
            "system.external_datasets #1.total_audio_length",
            "missing",
        ),
        (external("embeddings", [{"name": "D", "url": "x"}]), "system.external_datasets #1.url", "https://"),
        (put(*DEVELOPMENT, "overall", "accuracy", value=101), "results.development_dataset.overall.accuracy", "to 100"),
        (
            put(*DEVELOPMENT, "overall", "logloss", value=float("nan")),
            "results.development_dataset.overall.logloss",
            "from 0 up",
        ),
        (
            drop(*DEVELOPMENT, "class_wise", "outdoor"),
            "results.development_dataset.class_wise.outdoor",
            "is missing",
        ),
        (
            put(*DEVELOPMENT, "class_wise", "indoor", "logloss", value=-1),
            "results.development_dataset.class_wise.indoor.logloss",
            "from 0 up",
        ),
        (drop(*DEVELOPMENT, "overall"), "results.development_dataset.overall", "is missing"),
    ],
)
def test_faults_of_the_meta_information_are_named(change: Callable[[dict], None], where: str, words: str) -> None:
    meta = copy.deepcopy(VALID)
    change(meta)
    faults = check_meta(META, meta_text(meta).encode(), LABEL)
    assert any(fault.where == where and words in fault.message for fault in faults)
    assert all("must" in fault.message and "\n" not in str(fault) for fault in faults)
    assert len(faults) <= 2


def test_external_data_that_is_described_is_no_fault() -> None:
    meta = copy.deepcopy(VALID)
    external("embeddings", [DATASET])(meta)
    meta["results"]["development_dataset"] = {"overall": None, "class_wise": None}
    assert check_meta(META, meta_text(meta).encode(), LABEL) == []


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "", "empty"),
        ("- a\n- b\n", "", "is a list; it must be a section with submission, system, results"),
        ("just text", "", "must be a section"),
        ("a: [1, 2\nb: 3", "line 2", "must be plain YAML"),
        ("a: !!python/object/apply:os.system [exit]", "line 1", "tag"),
        ("a: 1\nb: !null", "line 2", "tag"),
        ("a: 1\n---\nb: 1", "line 2", "must be plain YAML"),
        ("results: 1\nresults: 2", "line 2", "'results' is given again"),
        (LAUGHS, "", "over 10,000 values"),
        (MERGES, "", "over 10,000 values"),
        ("a: &a [*a]", "", "an alias stands for what it is part of"),
        ("[" * 20_000, "", "too many levels"),
        (f"a: {'9' * 5000}", "", "does not fit its type"),
        ("a: 2020-13-45", "", "does not fit its type"),
        ("a: !!bool x", "", "does not fit its type"),
        ("a: !!timestamp x", "", "does not fit its type"),
        ("a: !!int ''", "", "does not fit its type"),
        ('a: "\\UFFFFFFFF"', "", "does not fit its type"),
        ("a: \x00", "", "must be plain YAML"),
        ("#" * (MAX_META_BYTES + 1), "", "larger than 64 KiB"),
    ],
)
def test_yaml_that_is_no_meta_information(text: str, where: str, words: str) -> None:
    faults = check_meta(META, text.encode())
    assert any(fault.where == where and words in fault.message for fault in faults)
    assert all("\n" not in str(fault) for fault in faults)


def test_an_aliased_affiliation_and_null_tags_are_fine() -> None:
    meta = copy.deepcopy(VALID)
    other = {
        **copy.deepcopy(AUTHOR),
        "corresponding": False,
        "affiliation": meta["submission"]["authors"][0]["affiliation"],
    }
    meta["submission"]["authors"].append(other)
    text = meta_text(meta)
    assert "*id" in text
    assert check_meta(META, text.replace("source_code: null", "source_code: !!null").encode(), LABEL) == []


def test_numbers_too_long_to_print() -> None:
    text = meta_text(VALID).replace("601862", "0x" + "f" * 9000).replace("logloss: 0.14", "logloss: 0x" + "f" * 9000)
    assert check_meta(META, text.encode(), LABEL) == []
    text = meta_text(VALID).replace("463.9", "0x" + "f" * 9000)
    assert "more than 18 digits" in check_meta(META, text.encode(), LABEL)[0].message


@pytest.mark.parametrize(
    ("output", "meta", "where"),
    [
        (f"{LABEL}.csv", META, f"{LABEL}.csv"),
        ("Chang_QTI_task1a_1.output.csv", META, "Chang_QTI_task1a_1.output.csv"),
        ("Chang_QTI_task1b_5.output.csv", META, "Chang_QTI_task1b_5.output.csv"),
        (OUTPUT, f"{LABEL}.meta.yml", f"{LABEL}.meta.yml"),
        ("Chang_QTI_task1b_2.output.csv", META, META),
    ],
)
def test_names_of_the_files(output: str, meta: str, where: str) -> None:
    (fault,) = check_pair(output, whole_output().encode(), meta, meta_text(VALID).encode())
    assert (fault.file, fault.where) == (where, "")
    assert "its name must" in fault.message


def test_a_pair_that_fits_but_not_its_label() -> None:
    output, meta = OUTPUT.replace("_1.", "_2."), META.replace("_1.", "_2.")
    (fault,) = check_pair(output, whole_output().encode(), meta, meta_text(VALID).encode())
    assert str(fault) == f"{meta}, submission.label: is '{LABEL}'; it must be Chang_QTI_task1b_2, as in the file's name"


def test_files_are_read_and_absent_ones_are_an_error(tmp_path: Path) -> None:
    output, meta = tmp_path / OUTPUT, tmp_path / META
    output.write_text(whole_output())
    with pytest.raises(DataError, match="cannot be read"):
        check_files(output, meta)
    meta.write_text(meta_text(VALID))
    assert check_files(output, meta) == []
    output.write_text("".join(whole_output().splitlines(keepends=True)[:4]))
    assert check_files(output, meta, partial=True) == []
    assert [fault.where for fault in check_files(output, meta)] == ["", ""]


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=30))
def test_arbitrary_bytes_give_faults_and_nothing_else(output: bytes, meta: bytes, name: str) -> None:
    faults = check_pair(name, output, name, meta, partial=True)
    assert {fault.file for fault in faults} <= {escape_unprintable(name)}
    assert len(faults) >= 4  # both names and both contents
    assert all(str(fault) == escape_unprintable(str(fault)) for fault in faults)


SYNTAX = st.text(st.sampled_from(list("ab01:-?[]{},&*!|>'\"%@#.~<= \n\t\\xuU\ufeff\x85é")), max_size=60)
TAGGED = st.builds(
    "{}: !!{} {}\n".format,
    st.sampled_from(["submission", "system", "results", "<<", "="]),
    st.sampled_from(
        ["bool", "int", "float", "null", "timestamp", "binary", "set", "omap", "pairs", "map", "seq", "merge"]
    ),
    SYNTAX,
)


@given(st.one_of(SYNTAX, TAGGED))
def test_arbitrary_yaml_gives_faults_and_nothing_else(text: str) -> None:
    faults = check_meta(META, text.encode("utf-8", "surrogatepass"))
    assert faults
    assert all(str(fault).isprintable() for fault in faults)


@given(st.text(st.sampled_from(list('0123456789.wav\t\n\r"indoor,e-+_\x00٣é')), max_size=80))
def test_arbitrary_rows_give_faults_and_nothing_else(text: str) -> None:
    faults = check_output(OUTPUT, f"{HEADER}\n{text}".encode(), partial=False)
    assert faults
    assert all(str(fault).isprintable() for fault in faults)


PLACES = [
    ("submission",),
    ("submission", "authors"),
    (*FIRST,),
    (*FIRST, "affiliation"),
    (*FIRST, "email"),
    ("system",),
    (*DESCRIPTION,),
    (*DESCRIPTION, "embeddings"),
    (*COMPLEXITY,),
    (*COMPLEXITY, "model_size"),
    ("system", "external_datasets"),
    ("results",),
    (*DEVELOPMENT,),
    (*DEVELOPMENT, "overall"),
    (*DEVELOPMENT, "class_wise", "indoor"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere_is_a_fault_under_its_key_or_none(path: tuple, value: Any) -> None:
    meta = copy.deepcopy(VALID)
    put(*path, value=value)(meta)
    faults = check_meta(META, yaml.safe_dump(meta, allow_unicode=True).encode(), LABEL)
    assert all(fault.where.startswith((path[0], "line")) for fault in faults)
    assert all(str(fault).isprintable() for fault in faults)
