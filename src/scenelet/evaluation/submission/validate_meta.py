"""Find the faults of a submission's meta information, `<label>.meta.yaml`."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, field_validator

from scenelet.evaluation.submission.details import (
    Abbreviation,
    Affiliation,
    Author,
    ExternalDataset,
    Label,
    Url,
    check_datasets,
    check_one_corresponding,
    fault_reason,
    rule,
)
from scenelet.evaluation.submission.faults import Fault, decode_text, format_value
from scenelet.evaluation.submission.form import BYTES_PER_KB, MAX_MODEL_BYTES, key_path

MAX_META_BYTES = 1 << 16  # ten times the size with twenty authors
MAX_KB = MAX_MODEL_BYTES // BYTES_PER_KB
SAMPLING_RATE = re.compile(r"[0-9]+(?:\.[0-9]+)?kHz")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_tags(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


Text = Annotated[Any, rule(_is_text, "text")]
Tags = Annotated[Any, rule(_is_tags, "text, or a list of texts")]
OptionalTags = Annotated[Any, rule(lambda value: value is None or _is_tags(value), "text, a list of texts, or null")]
Count = Annotated[int, Field(ge=0)]


class _Section(BaseModel, strict=True, allow_inf_nan=False):
    """A section; keys that the challenge does not ask for are allowed."""


class _Affiliation(Affiliation, extra="ignore"):
    department: Text | None


class _Author(Author, extra="ignore"):
    affiliation: _Affiliation


class _Dataset(ExternalDataset, extra="ignore"):
    pass


class _Submission(_Section):
    label: Label
    name: Text
    abbreviation: Abbreviation
    authors: Annotated[list[_Author], Field(min_length=1), AfterValidator(check_one_corresponding)]

    @field_validator("label")
    @classmethod
    def _as_in_file_name(cls, label: str, info: ValidationInfo) -> str:
        if info.context not in (None, label):
            raise ValueError(f"must be {info.context}, as in the file's name")
        return label


class _Description(_Section):
    input_sampling_rate: Annotated[str, rule(SAMPLING_RATE.fullmatch, "a rate such as 48.0kHz")]
    acoustic_features: Tags
    embeddings: OptionalTags
    data_augmentation: OptionalTags
    machine_learning_method: Tags
    ensemble_method_subsystem_count: Annotated[int, Field(ge=1)] | None
    decision_making: OptionalTags
    external_data_usage: OptionalTags
    complexity_management: OptionalTags


class _Complexity(_Section):
    total_parameters: Count
    total_parameters_non_zero: Count
    model_size: Annotated[
        float,
        rule(
            lambda size: 0 <= size <= MAX_KB,
            f"from 0 to {MAX_KB} (KB of {BYTES_PER_KB} bytes: non-zero parameters without batch norm)",
        ),
    ]

    @field_validator("total_parameters_non_zero")
    @classmethod
    def _at_most_all(cls, count: int, info: ValidationInfo) -> int:
        total = info.data.get("total_parameters", count)
        if count > total:
            raise ValueError(f"must be at most total_parameters, {format_value(total)}")
        return count


class _System(_Section):
    description: _Description
    complexity: _Complexity
    external_datasets: list[_Dataset]
    source_code: Url | None

    @field_validator("external_datasets")
    @classmethod
    def _used(cls, datasets: list[_Dataset], info: ValidationInfo) -> list[_Dataset]:
        if "description" in info.data:
            check_datasets(info.data["description"].external_data_usage, datasets)
        return datasets


class _Metrics(_Section):
    accuracy: Annotated[float, Field(ge=0, le=100)]  # percent
    logloss: Annotated[float, Field(ge=0)]


class _ClassWise(_Section):
    indoor: _Metrics
    outdoor: _Metrics
    transportation: _Metrics


class _Development(_Section):
    overall: _Metrics | None
    class_wise: _ClassWise | None


class _Results(_Section):
    development_dataset: _Development


class _Meta(_Section):
    submission: _Submission
    system: _System
    results: _Results


def check_meta(file: str, data: bytes, label: str | None = None) -> list[Fault]:
    """Find the faults of a meta information file; `label` is that of the submission in the file's name, if any.

    >>> [fault.message for fault in check_meta("a.meta.yaml", b"just text")]
    ["is 'just text'; it must be a section"]
    """
    if len(data) > MAX_META_BYTES:
        return [Fault(file, "", f"is larger than {MAX_META_BYTES >> 10} KiB; it must be a few KiB")]
    text = decode_text(file, data)
    document = text if isinstance(text, Fault) else _load_yaml(file, text)
    if isinstance(document, Fault):
        return [document]
    faults = []
    try:
        _Meta.model_validate(document, context=label)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            message = f"is {format_value(found['input'])}; it {fault_reason(found)}"
            if found["type"] == "missing":
                message = "is missing; it must be added"
            faults.append(Fault(file, key_path(*found["loc"]), message))
    return faults


def _load_yaml(file: str, text: str) -> Any:
    """Load a document with PyYAML's safe loader, without aliases and duplicate keys; returns a fault on an error.

    Aliases are refused because nested ones can stand for more values than fit into memory.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.MarkedYAMLError(problem="an alias; write its content out", problem_mark=mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = set[Any]()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    problem = f"the key {format_value(key.value)} is a duplicate"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            return super().construct_mapping(node, deep)

    where, reason = "", "a value does not fit its type, or there are too many levels"
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}"
        reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "a syntax error")
    # PyYAML raises these for values such as `!!bool x`, `!!int`, 2020-13-45, and for escapes of invalid characters
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError):
        pass
    return Fault(file, where, f"cannot be read ({' '.join(reason.split())}); it must be plain YAML")
