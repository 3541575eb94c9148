"""Validation of the meta information: each fault is named under its key, and any value gives only faults."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.example_submission import AUTHOR, label_of, valid_meta, valid_meta_bytes
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import meta_text
from scenelet.evaluation.submission.validate_meta import check_meta

FIRST = CHALLENGES[2020]
LABEL = label_of(FIRST)
META = f"{LABEL}.meta.yaml"

DATASET = {"name": "D", "url": "https://example.org", "total_audio_length": 60}


def found_in(meta: dict[str, Any]) -> list[Fault]:
    """The faults and warnings of this meta information."""
    return check_meta(META, meta_text(meta, FIRST.title).encode(), FIRST, LABEL)


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
RESULTS = ".".join(DEVELOPMENT)
FIRST_AUTHOR = ("submission", "authors", 0)


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (drop("submission"), "submission", "is missing"),
        (drop("results"), "results", "is missing"),
        (put("system", value=[1]), "system", "is a list; it must be a section"),
        (drop("system", "complexity"), "system.complexity", "is missing"),
        (drop(*DESCRIPTION, "decision_making"), "system.description.decision_making", "is missing"),
        (put("submission", "label", value="Chang_QTI_task1b_2"), "submission.label", f"must be {LABEL}"),
        (put("submission", "label", value="Chang_task1b_1"), "submission.label", "must be <Name>"),
        (put("submission", "label", value=7), "submission.label", "must be <Name>"),
        (put("submission", "abbreviation", value="Eleven_char"), "submission.abbreviation", "at most 10 characters"),
        (put("submission", "authors", value=[]), "submission.authors", "it must have at least 1 item, and has 0"),
        (put("submission", "authors", value=["Chang"]), "submission.authors #1", "must be a section"),
        (second_author, "submission.authors", "exactly one author with corresponding = true, and has 2"),
        (put(*FIRST_AUTHOR, "corresponding", value=False), "submission.authors", "and has 0"),
        (drop(*FIRST_AUTHOR, "affiliation"), "submission.authors #1.affiliation", "is missing"),
        (put(*COMPLEXITY, "total_parameters", value="many"), "system.complexity.total_parameters", "be an integer"),
        (put(*COMPLEXITY, "total_parameters", value=None), "system.complexity.total_parameters", "be an integer"),
        (put(*COMPLEXITY, "model_size", value=500.001), "system.complexity.model_size", "at most 500"),
        (put("system", "external_datasets", value=None), "system.external_datasets", "is null; it must be a list"),
        (
            external("embeddings", [{"name": "D", "url": "https://example.org"}]),
            "system.external_datasets #1.total_audio_length",
            "missing",
        ),
        (put(*DEVELOPMENT, "overall", "accuracy", value="high"), f"{RESULTS}.overall.accuracy", "must be a number"),
        (drop(*DEVELOPMENT, "class_wise", "outdoor"), f"{RESULTS}.class_wise.outdoor", "is missing"),
        (put(*DEVELOPMENT, "class_wise", "indoor", value=None), f"{RESULTS}.class_wise.indoor", "must be a section"),
        (drop(*DEVELOPMENT, "overall"), f"{RESULTS}.overall", "is missing"),
    ],
)
def test_check_meta_names_the_fault(change: Callable[[dict], None], where: str, words: str) -> None:
    meta = valid_meta(FIRST)
    change(meta)
    faults = [fault for fault in found_in(meta) if not fault.warning]
    assert any(fault.where == where and words in fault.message for fault in faults)
    assert all("must" in fault.message and "\n" not in str(fault) for fault in faults)
    assert len(faults) <= 2


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (put(*DESCRIPTION, "acoustic_features", value=None), "system.description.acoustic_features", "is null"),
        (put(*DESCRIPTION, "input_sampling_rate", value=48000), "system.description.input_sampling_rate", "is 48000"),
        (
            put(*DESCRIPTION, "ensemble_method_subsystem_count", value=1.5),
            "system.description.ensemble_method_subsystem_count",
            "should be an integer",
        ),
        (put("submission", "name", value=3), "submission.name", "is 3; it should be text"),
        (put(*FIRST_AUTHOR, "corresponding", value="yes"), "submission.authors #1.corresponding", "true or false"),
        (put(*FIRST_AUTHOR, "email", value="a at b"), "submission.authors #1.email", "should be an address"),
        (drop(*FIRST_AUTHOR, "affiliation", "location"), "submission.authors #1.affiliation", "institute and location"),
        (put(*COMPLEXITY, "total_parameters", value="35"), "system.complexity.total_parameters", "an integer"),
        (put(*COMPLEXITY, "total_parameters", value=6e5), "system.complexity.total_parameters", "an integer"),
        (
            put(*COMPLEXITY, "total_parameters_non_zero", value=700000),
            "system.complexity.total_parameters_non_zero",
            "at most total_parameters",
        ),
        (put(*COMPLEXITY, "model_size", value="463.9 KB"), "system.complexity.model_size", "should be a number"),
        (put("system", "source_code", value="here"), "system.source_code", "https://"),
        (external(None, [DATASET]), "system.external_datasets", "should come with a description of their use"),
        (external("embeddings", []), "system.external_datasets", "should list the data"),
        (external("embeddings", [{**DATASET, "url": "x"}]), "system.external_datasets #1.url", "https://"),
        (put(*DEVELOPMENT, "overall", "accuracy", value=101), f"{RESULTS}.overall.accuracy", "a percentage"),
        (put(*DEVELOPMENT, "overall", "logloss", value=float("nan")), f"{RESULTS}.overall.logloss", "at least 0"),
        (put(*DEVELOPMENT, "class_wise", "indoor", "logloss", value=-1), f"{RESULTS}.class_wise.indoor.logloss", "0"),
    ],
)
def test_check_meta_warns_of_what_validators_accept(change: Callable[[dict], None], where: str, words: str) -> None:
    meta = valid_meta(FIRST)
    change(meta)
    found = found_in(meta)
    assert all(fault.warning and "\n" not in str(fault) for fault in found)
    assert any(fault.where == where and words in fault.message for fault in found)
    assert len(found) <= 2


def test_check_meta_warning_does_not_hide_a_fault() -> None:
    meta = valid_meta(FIRST)
    put(*FIRST_AUTHOR, "email", value="a at b")(meta)
    second_author(meta)
    assert [(fault.where, fault.warning) for fault in found_in(meta)] == [
        ("submission.authors", False),
        ("submission.authors #1.email", True),
    ]


def test_check_meta_accepts_external_data_with_its_usage() -> None:
    meta = valid_meta(FIRST)
    external("embeddings", [DATASET])(meta)
    meta["results"]["development_dataset"] = {"overall": None, "class_wise": None}
    assert found_in(meta) == []


def test_check_meta_accepts_null_tags_and_keys_of_ones_own() -> None:
    meta = valid_meta(FIRST)
    meta["system"]["description"]["comment"] = meta["submission"]["authors"][0]["orcid"] = "0000"
    text = meta_text(meta, FIRST.title)
    assert check_meta(META, text.replace("source_code: null", "source_code: !!null").encode(), FIRST, LABEL) == []


def test_check_meta_refuses_aliases_and_duplicate_keys() -> None:
    text = valid_meta_bytes(FIRST).decode()
    (fault,) = check_meta(META, text.replace("name: Name", "name: &name Name\n  more: *name").encode(), FIRST, LABEL)
    assert "an alias; write its content out" in fault.message
    (fault,) = check_meta(META, text.replace("name: Name", "name: Name\n  name: Name").encode(), FIRST, LABEL)
    assert "the key 'name' is a duplicate" in fault.message


def test_check_meta_of_very_long_integers() -> None:
    text = valid_meta_bytes(FIRST).decode().replace("35062", "0x" + "f" * 9000)
    assert check_meta(META, text.encode(), FIRST, LABEL) == []
    text = valid_meta_bytes(FIRST).decode().replace("463.9", "0x" + "f" * 9000)
    assert "more than 18 digits" in check_meta(META, text.encode(), FIRST, LABEL)[0].message


PATHS = [
    ("submission",),
    ("submission", "authors"),
    FIRST_AUTHOR,
    (*FIRST_AUTHOR, "affiliation"),
    (*FIRST_AUTHOR, "email"),
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
@given(st.sampled_from(PATHS), VALUES)
def test_check_meta_of_any_value_names_its_key(path: tuple, value: Any) -> None:
    meta = valid_meta(FIRST)
    put(*path, value=value)(meta)
    faults = check_meta(META, yaml.safe_dump(meta, allow_unicode=True).encode(), FIRST, LABEL)
    assert all(fault.where.startswith((path[0], "line")) for fault in faults)
    assert all(str(fault).isprintable() for fault in faults)
