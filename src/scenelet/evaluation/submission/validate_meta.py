"""Find every fault of a submission's meta information, `<label>.meta.yaml`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scenelet.evaluation.submission.bounded_yaml import load_yaml
from scenelet.evaluation.submission.faults import Fault, decode_text, format_value
from scenelet.evaluation.submission.form import (
    BYTES_PER_KB,
    EMAIL,
    LABEL,
    LABEL_FORM,
    LABELS,
    MAX_ABBREVIATION_LENGTH,
    MAX_MODEL_BYTES,
    URL,
    key_path,
)

MAX_META_BYTES = 1 << 16  # ten times the size with twenty authors
SAMPLING_RATE = re.compile(r"[0-9]+(?:\.[0-9]+)?kHz")


@dataclass(frozen=True)
class Rule:
    """Rule for a value.

    Attributes:
        fits: True if a value is valid.
        must: description of a valid value.
    """

    fits: Callable[[Any], bool]
    must: str

    @property
    def or_null(self) -> "Rule":
        """Same rule, which also allows null."""
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
    """Make a rule for finite numbers from `low` to `high`."""
    upper = " up" if high == float("inf") else f" to {high:g}"
    return Rule(
        lambda value: _is_number(value) and low <= value <= high and value < float("inf"),
        f"a number from {low:g}{upper}{unit}",
    )


SECTION = Rule(lambda value: True, "a section")  # its content has rules of its own
TEXT = Rule(_is_text, "text")
TAGS = Rule(_is_tags, "text, or a list of texts")
COUNT = Rule(_is_count, "an integer, without quotes")
METRICS = {"accuracy": _number(0, 100, " (percent)"), "logloss": _number(0, float("inf"))}
MAX_KB = MAX_MODEL_BYTES / BYTES_PER_KB

TOP = {"submission": SECTION, "system": SECTION, "results": SECTION}
SUBMISSION = {
    "label": Rule(_matches(LABEL), LABEL_FORM),
    "name": TEXT,
    "abbreviation": Rule(
        lambda value: _is_text(value) and len(value) <= MAX_ABBREVIATION_LENGTH,
        f"text of at most {MAX_ABBREVIATION_LENGTH} characters",
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
    "external_datasets": Rule(lambda value: isinstance(value, list), "a list of data sets, or [] if there are none"),
    "source_code": Rule(_matches(URL), "an address that begins with https:// or http://").or_null,
}
DESCRIPTION = {
    "input_sampling_rate": Rule(_matches(SAMPLING_RATE), "a rate such as 48.0kHz"),
    "acoustic_features": TAGS,
    "embeddings": TAGS.or_null,
    "data_augmentation": TAGS.or_null,
    "machine_learning_method": TAGS,
    "ensemble_method_subsystem_count": Rule(
        lambda value: _is_count(value) and value >= 1, "an integer from 1 up"
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
    """Find the faults of a meta information file.

    Args:
        file: name of the file.
        data: its content.
        label: label of the submission in the file's name; None if there is none.

    >>> [fault.message for fault in check_meta("a.meta.yaml", b"just text")]
    ["is 'just text'; it must be a section with submission, system, results"]
    """
    if len(data) > MAX_META_BYTES:
        return [Fault(file, "", f"is larger than {MAX_META_BYTES >> 10} KiB; it must be a few KiB")]
    text = decode_text(file, data)
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
    """Collection of the faults of each section."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file, self.faults = file, faults

    def fault(self, key: tuple[str | int, ...], message: str) -> None:
        self.faults.append(Fault(self.file, key_path(*key), message))

    def section(self, value: Any, key: tuple[str | int, ...], rules: Mapping[str, Rule]) -> dict[str, Any]:
        """Check a section's keys by their rules, and return the valid ones."""
        if not isinstance(value, dict):
            self.fault(key, f"is {format_value(value)}; it must be a section with {', '.join(rules)}")
            return {}
        valid = {}
        for name, rule in rules.items():
            if name not in value:
                self.fault((*key, name), f"is missing; it must be {rule.must}")
            elif not rule.fits(value[name]):
                self.fault((*key, name), f"is {format_value(value[name])}; it must be {rule.must}")
            else:
                valid[name] = value[name]
        return valid

    def submission(self, value: Any, label: str | None) -> None:
        valid = self.section(value, ("submission",), SUBMISSION)
        if label is not None and valid.get("label", label) != label:
            self.fault(
                ("submission", "label"), f"is {format_value(valid['label'])}; it must be {label}, as in the file's name"
            )
        corresponding = 0
        for number, author in enumerate(valid.get("authors", ())):
            key = ("submission", "authors", number)
            valid_author = self.section(author, key, AUTHOR)
            if "affiliation" in valid_author:
                self.section(valid_author["affiliation"], (*key, "affiliation"), AFFILIATION)
            mark = author.get("corresponding", False) if isinstance(author, dict) else False
            if not isinstance(mark, bool):
                self.fault((*key, "corresponding"), f"is {format_value(mark)}; it must be true or false")
            corresponding += mark is True
        if "authors" in valid and corresponding != 1:
            self.fault(
                ("submission", "authors"),
                f"{corresponding} authors are marked as corresponding; it must be exactly one",
            )

    def system(self, value: Any) -> None:
        valid = self.section(value, ("system",), SYSTEM)
        usage: dict[str, Any] = {}
        if "description" in valid:
            usage = self.section(valid["description"], ("system", "description"), DESCRIPTION)
        if "complexity" in valid:
            key = ("system", "complexity")
            counts = self.section(valid["complexity"], key, COMPLEXITY)
            total, nonzero = counts.get("total_parameters"), counts.get("total_parameters_non_zero")
            if total is not None and nonzero is not None and nonzero > total:
                self.fault(
                    (*key, "total_parameters_non_zero"),
                    f"is {format_value(nonzero)}; it must be at most total_parameters, {format_value(total)}",
                )
        if "external_datasets" not in valid:
            return
        datasets = valid["external_datasets"]
        for number, dataset in enumerate(datasets):
            self.section(dataset, ("system", "external_datasets", number), DATASET)
        if "external_data_usage" in usage and (usage["external_data_usage"] is None) == bool(datasets):
            if datasets:
                self.fault(
                    ("system", "description", "external_data_usage"),
                    "is null; it must describe the use of the external_datasets",
                )
            else:
                self.fault(("system", "external_datasets"), "is empty; it must list the data of external_data_usage")

    def results(self, value: Any) -> None:
        """Check the results. A section may be null, but not incomplete."""
        if "development_dataset" not in self.section(value, ("results",), {"development_dataset": SECTION}):
            return
        key = ("results", "development_dataset")
        sections = self.section(value["development_dataset"], key, {"overall": SECTION, "class_wise": SECTION})
        if sections.get("overall") is not None:
            self.section(sections["overall"], (*key, "overall"), METRICS)
        if sections.get("class_wise") is not None:
            classes = self.section(sections["class_wise"], (*key, "class_wise"), dict.fromkeys(LABELS, SECTION))
            for label, measured in classes.items():
                self.section(measured, (*key, "class_wise", label), METRICS)
