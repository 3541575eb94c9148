"""Types of the values in a submission's meta information, as annotations for pydantic.

A `rule` of the organizers' validators gives a fault, an `advice` of ours a warning.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.details import rule
from scenelet.evaluation.submission.form import EMAIL, MAX_ABBREVIATION_LENGTH, URL

SAMPLING_RATE = re.compile(r"[0-9]+(?:\.[0-9]+)?kHz")
ADVICE = "advice"
"""Type of the errors of `advice`."""


@dataclass(frozen=True)
class Context:
    """Context of a validation: the challenge, the label in the file's name if any, and whether to give advice."""

    challenge: Challenge
    label: str | None
    advise: bool


def context_of(info: ValidationInfo) -> Context:
    """Return the context of a validation."""
    assert isinstance(info.context, Context)
    return info.context


def advice(fits: Callable[[Any], Any], should: str) -> AfterValidator:
    """Return a validator of pydantic that gives a warning, in a pass that asks for advice, if a value does not fit."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if context_of(info).advise and not fits(value):
            raise PydanticCustomError(ADVICE, "should be {should}", {"should": should})
        return value

    return AfterValidator(check)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_tags(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


def number(value: Any) -> float | None:
    """Return the number that the organizers' validators see in a value, or None."""
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf
    except (TypeError, ValueError):
        return None


def _parses_as_integer(value: Any) -> bool:
    try:
        int(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _is_integer(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int) and value >= 0


def within(value: Any, most: float = math.inf) -> bool:
    """Return whether a value is a finite number from 0 to `most`."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    amount = number(value) if plain else None
    return amount is not None and math.isfinite(amount) and 0 <= amount <= most


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _or_null(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _is_affiliation(value: Any) -> bool:
    many = value if isinstance(value, list) else [value]
    parts = ("abbreviation", "institute", "location")
    return bool(many) and all(isinstance(one, dict) and all(_is_text(one.get(part)) for part in parts) for one in many)


Text = Annotated[Any, advice(_is_text, "text")]
Tags = Annotated[Any, advice(_is_tags, "text, or a list of texts")]
OptionalTags = Annotated[Any, advice(_or_null(_is_tags), "text, a list of texts, or null")]
Email = Annotated[Any, advice(_matches(EMAIL), "an address, name@example.org")]
Url = Annotated[Any, advice(_matches(URL), "an address that begins with https://")]
OptionalUrl = Annotated[
    Any, advice(_or_null(_matches(URL)), "an address that begins with https:// or http://, or null")
]
YesNo = Annotated[Any, advice(lambda value: isinstance(value, bool), "true or false")]
Affiliation = Annotated[Any, advice(_is_affiliation, "a section with abbreviation, institute and location")]
Minutes = Annotated[Any, advice(within, "a number of minutes")]
Count = Annotated[Any, advice(_or_null(_is_integer), "an integer")]
Amount = Annotated[Any, advice(_or_null(within), "a number of at least 0, or null")]
Result = Annotated[Any, rule(_or_null(lambda value: number(value) is not None), "a number, or null")]
Percentage = Annotated[Result, advice(_or_null(lambda value: within(value, 100)), "a percentage")]
LogLoss = Annotated[Result, advice(_or_null(within), "a number of at least 0")]
Abbreviation = Annotated[
    Any,
    rule(
        lambda text: isinstance(text, str) and len(text) <= MAX_ABBREVIATION_LENGTH,
        f"text of at most {MAX_ABBREVIATION_LENGTH} characters",
    ),
]
DESCRIPTION: dict[str, Any] = {
    "input_sampling_rate": Annotated[Any, advice(_matches(SAMPLING_RATE), "a rate such as 48.0kHz")],
    "acoustic_features": Tags,
    "machine_learning_method": Tags,
    "ensemble_method_subsystem_count": Count,
}
"""Types of the keys of `system.description`; all others are `OptionalTags`."""
COMPLEXITY: dict[str, Any] = {
    "total_parameters": Annotated[Any, rule(_parses_as_integer, "an integer"), advice(_is_integer, "an integer")],
    "total_parameters_non_zero": Count,
}
"""Types of the keys of `system.complexity`; all others are `Amount`."""
