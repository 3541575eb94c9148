"""Find every fault of a submission's meta information, `<label>.meta.yaml`.

The organizers' validators check that keys exist, and a few values. What else does not look right gives a warning.
"""

import functools
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from scenelet.evaluation.submission import meta_types as types
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.details import check_datasets, check_one_corresponding, fault_reason
from scenelet.evaluation.submission.faults import Fault, format_value
from scenelet.evaluation.submission.form import key_path
from scenelet.evaluation.submission.meta_types import ADVICE, Context, context_of, number
from scenelet.evaluation.submission.yaml_text import read_yaml


class _Section(BaseModel, strict=True, protected_namespaces=()):
    """A section; keys that the challenge does not ask for are allowed."""


class _Author(_Section):
    lastname: types.Text
    firstname: types.Text
    email: types.Email
    affiliation: types.Affiliation
    corresponding: types.YesNo = False


class _Dataset(_Section):
    name: types.Text
    url: types.Url
    total_audio_length: types.Minutes


class _Submission(_Section):
    label: Any
    name: types.Text
    abbreviation: types.Abbreviation
    authors: Annotated[list[_Author], Field(min_length=1), AfterValidator(check_one_corresponding)]

    @field_validator("label")
    @classmethod
    def _as_in_file_name(cls, label: Any, info: ValidationInfo) -> Any:
        challenge, in_name = context_of(info).challenge, context_of(info).label
        if not isinstance(label, str) or not challenge.label_pattern.fullmatch(label):
            raise ValueError(f"must be {challenge.label_form}")
        if in_name not in (None, label):
            raise ValueError(f"must be {in_name}, as in the file's name")
        return label


class _Complexity(_Section):
    @field_validator("*")
    @classmethod
    def _within_limit(cls, value: Any, info: ValidationInfo) -> Any:
        limit = dict(context_of(info).challenge.limits).get(str(info.field_name))
        if limit is not None and (number(value) or 0) > limit:
            raise ValueError(f"must be at most {limit:,}, the challenge's limit")
        total = number(info.data.get("total_parameters"))
        is_part = info.field_name == "total_parameters_non_zero" and total is not None
        if context_of(info).advise and is_part and (number(value) or 0) > (total or 0):
            raise PydanticCustomError(ADVICE, "should be at most total_parameters")
        return value


class _System(_Section):
    @field_validator("external_datasets", check_fields=False)
    @classmethod
    def _used(cls, datasets: list[_Dataset] | None, info: ValidationInfo) -> list[_Dataset] | None:
        if datasets is None and context_of(info).challenge.year == 2020:
            raise ValueError("must be a list; an empty one is []")  # that year's validator stops with an error
        if context_of(info).advise and "description" in info.data:
            try:
                check_datasets(info.data["description"].external_data_usage, datasets or [])
            except ValueError as error:
                raise PydanticCustomError(
                    ADVICE, "{reason}", {"reason": str(error).replace("must", "should")}
                ) from None
        return datasets


class _Metrics(_Section):
    accuracy: types.Percentage
    logloss: types.LogLoss


class _Results(_Section):
    @model_validator(mode="after")
    def _in_percent(self, info: ValidationInfo) -> Self:
        sections = [getattr(self, key, None) for key in ("class_wise", "device_wise")]
        metrics = [getattr(self, "overall", None)]
        metrics += [one for section in sections if section for _, one in section]
        found = [number(one.accuracy) for one in metrics if one and one.accuracy is not None]
        if context_of(info).advise and found and 0 < max(one or 0 for one in found) <= 1:
            raise PydanticCustomError(ADVICE, "should have accuracies in percent, of which none is above 1")
        return self


@functools.cache
def _schema(challenge: Challenge) -> Any:
    """Return the model of a year's meta information."""

    def section(name: str, keys: dict[str, Any], base: type[_Section] = _Section) -> Any:
        fields: dict[str, Any] = {key: (kind, ...) for key, kind in keys.items()}
        return create_model(name, __base__=base, **fields)

    described = {key: types.DESCRIPTION.get(key, types.OptionalTags) for key in challenge.description}
    counted = {key: types.COMPLEXITY.get(key, types.Amount) for key in challenge.complexity}
    parts = {
        "description": section("Description", described),
        "complexity": section("Complexity", counted, _Complexity),
    }
    if challenge.energy:
        parts["energy_consumption"] = section("Energy", dict.fromkeys(challenge.energy, types.Amount))
    parts |= {"external_datasets": list[_Dataset] | None, "source_code": types.OptionalUrl}
    by_class = section("Classes", dict.fromkeys(challenge.labels, _Metrics))
    results = {"overall": _Metrics | None, "class_wise": by_class | None}
    if challenge.devices:
        results["device_wise"] = section("Devices", dict.fromkeys(challenge.devices, _Metrics)) | None
    development = section("Results", results, _Results)
    if challenge.splits != ("",):
        development = section("Splits", dict.fromkeys(challenge.splits, development | None))
    return section(
        "Meta",
        {
            "submission": _Submission,
            "system": section("System", parts, _System),
            "results": section("Development", {"development_dataset": development}),
        },
    )


def check_meta(file: str, data: bytes, challenge: Challenge, label: str | None = None) -> list[Fault]:
    """Find the faults of a meta information file; `label` is that of the submission in the file's name, if any.

    >>> from scenelet.evaluation.submission.challenge import CHALLENGES
    >>> [fault.message for fault in check_meta("a.meta.yaml", b"just text", CHALLENGES[2022])]
    ["is 'just text'; it must be a section"]
    """
    document = read_yaml(file, data)
    if isinstance(document, Fault):
        return [document]
    return [
        *_faults(file, document, Context(challenge, label, advise=False)),
        *_faults(file, document, Context(challenge, label, advise=True)),
    ]


def _faults(file: str, document: Any, context: Context) -> list[Fault]:
    """Find the faults of a document, or the warnings if the context asks for advice."""
    try:
        _schema(context.challenge).model_validate(document, context=context)
    except ValidationError as error:
        found = [one for one in error.errors(include_url=False) if (one["type"] == ADVICE) == context.advise]
        return [_fault(file, one, context.advise) for one in found]
    return []


def _fault(file: str, error: Any, warning: bool) -> Fault:
    message = f"is {format_value(error['input'])}; it {error['msg'] if warning else fault_reason(error)}"
    if error["type"] == "missing":
        message = "is missing; it must be added"
    return Fault(file, key_path(*error["loc"]), message, warning)
