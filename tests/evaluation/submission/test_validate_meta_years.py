"""Validation of the meta information of each year: its keys, limits and unknown results."""

from typing import Any

import pytest

from helpers.example_submission import YEARS, label_of, valid_meta
from scenelet.evaluation.submission.challenge import CHALLENGES, Challenge
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import meta_text
from scenelet.evaluation.submission.validate_meta import check_meta

DESCRIPTION, COMPLEXITY = ("system", "description"), ("system", "complexity")
DEVELOPMENT = ("results", "development_dataset")


def found_in(meta: dict[str, Any], challenge: Challenge) -> list[Fault]:
    """The faults and warnings of this meta information."""
    return check_meta("x.meta.yaml", meta_text(meta, challenge.title).encode(), challenge, label_of(challenge))


def section(meta: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The section that has the last key of the path."""
    for part in path[:-1]:
        meta = meta[part]
    return meta


@pytest.mark.parametrize("year", YEARS)
def test_check_meta_of_each_year_needs_its_keys(year: int) -> None:
    challenge = CHALLENGES[year]
    assert found_in(valid_meta(challenge), challenge) == []
    development: tuple[str, ...] = DEVELOPMENT if challenge.splits == ("",) else (*DEVELOPMENT, "split_25")
    keys = [(*DESCRIPTION, key) for key in challenge.description] + [(*COMPLEXITY, key) for key in challenge.complexity]
    keys += [("system", "energy_consumption", key) for key in challenge.energy]
    keys += [(*development, "class_wise", label) for label in challenge.labels]
    keys += [(*development, "device_wise", device) for device in challenge.devices]
    keys += [(*DEVELOPMENT, split) for split in challenge.splits if split]
    for path in keys:
        meta = valid_meta(challenge)
        del section(meta, path)[path[-1]]
        (fault,) = found_in(meta, challenge)
        assert (fault.where, fault.message) == (".".join(path), "is missing; it must be added")


@pytest.mark.parametrize("year", YEARS)
def test_check_meta_of_each_year_knows_its_limits(year: int) -> None:
    challenge = CHALLENGES[year]
    for key, limit in challenge.limits:
        for value, count in ((limit, 0), (limit + 1, 1)):
            meta = valid_meta(challenge)
            meta["system"]["complexity"][key] = value
            faults = found_in(meta, challenge)
            assert len(faults) == count
            assert all(f"must be at most {limit:,}, the challenge's limit" in fault.message for fault in faults)


@pytest.mark.parametrize("year", YEARS[1:])
def test_check_meta_accepts_results_that_are_not_known(year: int) -> None:
    challenge = CHALLENGES[year]
    meta = valid_meta(challenge)
    development = meta["results"]["development_dataset"]
    first = development if challenge.splits == ("",) else development["split_5"]
    first["overall"]["logloss"] = first["device_wise"]["s6"]["accuracy"] = None
    first["class_wise"] = None
    meta["system"]["external_datasets"] = None
    assert found_in(meta, challenge) == []


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize(("most", "count"), [(0.61, 1), (1, 1), (1.5, 0), (0, 0), (None, 0)])
def test_check_meta_warns_of_accuracies_that_are_fractions(year: int, most: float | None, count: int) -> None:
    challenge = CHALLENGES[year]
    meta = valid_meta(challenge)
    development = meta["results"]["development_dataset"]
    first = development if challenge.splits == ("",) else development["split_5"]
    for part in ("class_wise", "device_wise"):
        for one in first.get(part, {}).values():
            one["accuracy"] = None if most is None else most / 2
    first["overall"]["accuracy"] = most
    found = found_in(meta, challenge)
    assert [(fault.warning, "percent" in fault.message) for fault in found] == count * [(True, True)]
    assert all(fault.where == ".".join(DEVELOPMENT) + ("" if first is development else ".split_5") for fault in found)
