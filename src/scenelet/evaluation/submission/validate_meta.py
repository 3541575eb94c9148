"""Find every fault of a submission's meta information, `<label>.meta.yaml`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scenelet.evaluation.submission.bounded_yaml import load_yaml
from scenelet.evaluation.submission.faults import Fault, decoded, shown
from scenelet.evaluation.submission.form import (
    BYTES_PER_KB,
    EMAIL,
    LABEL,
    LABEL_FORM,
    LABELS,
    MAX_ABBREVIATION,
    MAX_MODEL_BYTES,
    URL,
    key_path,
)

MAX_META_BYTES = 1 << 16  # ten times what twenty authors take
SAMPLING_RATE = re.compile(r"[0-9]+(?:\.[0-9]+)?kHz")


@dataclass(frozen=True)
class Rule:
    """Whether a value fits, and in words what it must be."""

    fits: Callable[[Any], bool]
    must: str

    @property
    def or_null(self) -> "Rule":
        """The same, and null where it does not apply."""
        return Rule(lambda value: value is None or self.fits(value), f"{self.must}, or null")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_tags(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(low: float, high: float, unit: str = "") -> Rule:
    """Above or at `low`, at or below `high`; nan is neither."""
    reach = " up" if high == float("inf") else f" to {high:g}"
    return Rule(
        lambda value: _is_number(value) and low <= value <= high and value < float("inf"),
        f"a number from {low:g}{reach}{unit}",
    )


SECTION = Rule(lambda value: True, "a section")  # what is in it is looked at on its own
TEXT = Rule(_is_text, "text")
TAGS = Rule(_is_tags, "text, or a list of texts")
COUNT = Rule(_is_count, "a whole number, without quotes")
FIGURES = {"accuracy": _number(0, 100, " (percent)"), "logloss": _number(0, float("inf"))}
MAX_KB = MAX_MODEL_BYTES / BYTES_PER_KB

TOP = {"submission": SECTION, "system": SECTION, "results": SECTION}
SUBMISSION = {
    "label": Rule(_matches(LABEL), LABEL_FORM),
    "name": TEXT,
    "abbreviation": Rule(
        lambda value: _is_text(value) and len(value) <= MAX_ABBREVIATION,
        f"text of at most {MAX_ABBREVIATION} characters",
    ),
    "authors": Rule(lambda value: isinstance(value, list) and bool(value), "a list of at least one author"),
}
AUTHOR = {
    "lastname": TEXT,
    "firstname": TEXT,
    "email": Rule(_matches(EMAIL), "an address, name@example.org"),
    "affiliation": SECTION,
}
AFFILIATION = {"abbreviation": TEXT, "institute": TEXT, "department": TEXT.or_null, "location": TEXT}
SYSTEM = {
    "description": SECTION,
    "complexity": SECTION,
    "external_datasets": Rule(lambda value: isinstance(value, list), "a list of data sets, [] where there are none"),
    "source_code": Rule(_matches(URL), "an address that begins with https:// or http://").or_null,
}
DESCRIPTION = {
    "input_sampling_rate": Rule(_matches(SAMPLING_RATE), "a rate such as 48.0kHz"),
    "acoustic_features": TAGS,
    "embeddings": TAGS.or_null,
    "data_augmentation": TAGS.or_null,
    "machine_learning_method": TAGS,
    "ensemble_method_subsystem_count": Rule(
        lambda value: _is_count(value) and value >= 1, "a whole number from 1 up"
    ).or_null,
    "decision_making": TAGS.or_null,
    "external_data_usage": TAGS.or_null,
    "complexity_management": TAGS.or_null,
}
COMPLEXITY = {
    "total_parameters": COUNT,
    "total_parameters_non_zero": COUNT,
    "model_size": _number(0, MAX_KB, f" (KB of {BYTES_PER_KB} bytes: non-zero parameters without batch norm)"),
}
DATASET = {
    "name": TEXT,
    "url": SYSTEM["source_code"],
    "total_audio_length": _number(0, float("inf"), " (minutes)"),
}


def check_meta(file: str, data: bytes, label: str | None = None) -> list[Fault]:
    """The faults of a meta information file.

    Args:
        file: its name.
        data: its contents.
        label: the submission's, as the file's name has it; None: the name has none.
    """
    if len(data) > MAX_META_BYTES:
        return [Fault(file, "", f"is larger than {MAX_META_BYTES >> 10} KiB; it must be a few")]
    text = decoded(file, data)
    if isinstance(text, Fault):
        return [text]
    document, faults = load_yaml(file, text)
    if faults and document is None:
        return faults
    found = _Meta(file, faults)
    top = found.section(document, (), TOP)
    if "submission" in top:
        found.submission(top["submission"], label)
    if "system" in top:
        found.system(top["system"])
    if "results" in top:
        found.results(top["results"])
    return found.faults


class _Meta:
    """Walks through the sections and collects faults."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file, self.faults = file, faults

    def fault(self, key: tuple[str | int, ...], message: str) -> None:
        self.faults.append(Fault(self.file, key_path(*key), message))

    def section(self, value: Any, key: tuple[str | int, ...], rules: Mapping[str, Rule]) -> dict[str, Any]:
        """Check a section's keys by their rules; returns those whose values fit."""
        if not isinstance(value, dict):
            self.fault(key, f"is {shown(value)}; it must be a section with {', '.join(rules)}")
            return {}
        good = {}
        for name, rule in rules.items():
            if name not in value:
                self.fault((*key, name), f"is missing; it must be {rule.must}")
            elif not rule.fits(value[name]):
                self.fault((*key, name), f"is {shown(value[name])}; it must be {rule.must}")
            else:
                good[name] = value[name]
        return good

    def submission(self, value: Any, label: str | None) -> None:
        good = self.section(value, ("submission",), SUBMISSION)
        if label is not None and good.get("label", label) != label:
            self.fault(("submission", "label"), f"is {shown(good['label'])}; it must be {label}, as in the file's name")
        corresponding = 0
        for number, author in enumerate(good.get("authors", ())):
            key = ("submission", "authors", number)
            person = self.section(author, key, AUTHOR)
            if "affiliation" in person:
                self.section(person["affiliation"], (*key, "affiliation"), AFFILIATION)
            mark = author.get("corresponding", False) if isinstance(author, dict) else False
            if not isinstance(mark, bool):
                self.fault((*key, "corresponding"), f"is {shown(mark)}; it must be true or false")
            corresponding += mark is True
        if "authors" in good and corresponding != 1:
            self.fault(
                ("submission", "authors"), f"{corresponding} are marked as corresponding; it must be exactly one"
            )

    def system(self, value: Any) -> None:
        good = self.section(value, ("system",), SYSTEM)
        usage: dict[str, Any] = {}
        if "description" in good:
            usage = self.section(good["description"], ("system", "description"), DESCRIPTION)
        if "complexity" in good:
            key = ("system", "complexity")
            counts = self.section(good["complexity"], key, COMPLEXITY)
            total, kept = counts.get("total_parameters"), counts.get("total_parameters_non_zero")
            if total is not None and kept is not None and kept > total:
                self.fault(
                    (*key, "total_parameters_non_zero"),
                    f"is {shown(kept)}; it must be at most total_parameters, {shown(total)}",
                )
        if "external_datasets" not in good:
            return
        datasets = good["external_datasets"]
        for number, dataset in enumerate(datasets):
            self.section(dataset, ("system", "external_datasets", number), DATASET)
        if "external_data_usage" in usage and (usage["external_data_usage"] is None) == bool(datasets):
            if datasets:
                self.fault(
                    ("system", "description", "external_data_usage"),
                    "is null; it must say how the external_datasets are used",
                )
            else:
                self.fault(
                    ("system", "external_datasets"), "lists none; it must list what external_data_usage is about"
                )

    def results(self, value: Any) -> None:
        """Figures may be left out, as null; what is there must be whole."""
        if "development_dataset" not in self.section(value, ("results",), {"development_dataset": SECTION}):
            return
        key = ("results", "development_dataset")
        figures = self.section(value["development_dataset"], key, {"overall": SECTION, "class_wise": SECTION})
        if figures.get("overall") is not None:
            self.section(figures["overall"], (*key, "overall"), FIGURES)
        if figures.get("class_wise") is not None:
            classes = self.section(figures["class_wise"], (*key, "class_wise"), dict.fromkeys(LABELS, SECTION))
            for label, measured in classes.items():
                self.section(measured, (*key, "class_wise", label), FIGURES)
