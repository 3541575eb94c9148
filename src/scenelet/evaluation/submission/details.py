"""Details of a submission that its authors give in `details.toml`, since no model file stores them."""

import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from scenelet.config import Settings
from scenelet.config.recipes import read_toml
from scenelet.errors import OutputError, UsageError, did_you_mean
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.form import EMAIL, MAX_ABBREVIATION_LENGTH, URL, key_path
from scenelet.utils.files import replace_file

META_KEYS = {
    "embeddings": "embeddings",
    "ensemble_count": "ensemble_method_subsystem_count",
    "pipeline": "pipeline",
    "framework": "framework",
    "split_adaptations": "split_adaptations",
    "system_adaptations": "system_adaptations",
    "memory_use": "memory_use",
}
"""Keys of the details whose value the meta information of some years does not have, with its key there."""


def unused_keys(challenge: Challenge) -> set[str]:
    """Return the keys of the details that a challenge's meta information has no place for.

    >>> from scenelet.evaluation.submission.challenge import CHALLENGES
    >>> sorted(unused_keys(CHALLENGES[2024]))
    ['embeddings', 'energy_consumption', 'ensemble_count', 'memory_use']
    """
    used = {*challenge.description, *challenge.complexity}
    energy = set() if challenge.energy else {"energy_consumption"}
    return {key for key, meta_key in META_KEYS.items() if meta_key not in used} | energy


def example(challenge: Challenge) -> str:
    """Return an example of a details file, with the keys that the challenge uses.

    >>> from scenelet.evaluation.submission.challenge import CHALLENGES
    >>> print(example(CHALLENGES[2022]).splitlines()[0])
    # Details of a DCASE 2022 Task 1 submission, for `scenelet submit write --year 2022`. Fill them in.
    """
    text = resources.files(__package__).joinpath("details.toml").read_text("utf-8")
    unused = unused_keys(challenge)
    for key in unused:
        text = re.sub(rf"^# {key} = .*\n", "", text, flags=re.MULTILINE)
    if "energy_consumption" in unused:
        text = re.sub(r"^# \[energy_consumption\]\n(?:# .*\n)+\n", "", text, flags=re.MULTILINE)
    for word, value in (("TITLE", challenge.title), ("YEAR", str(challenge.year)), ("TASK", challenge.task)):
        text = text.replace(word, value)
    return text


def rule(fits: Callable[[Any], Any], must: str) -> AfterValidator:
    """Return a validator of pydantic for a value that must be as described.

    >>> rule(str.isalpha, "a word").func("rain")
    'rain'
    """

    def check(value: Any) -> Any:
        if not fits(value):
            raise ValueError(f"must be {must}")
        return value

    return AfterValidator(check)


Line = Annotated[str, AfterValidator(str.strip), rule(lambda text: text and text.isprintable(), "one line of text")]
Url = Annotated[Line, rule(URL.fullmatch, "an address that begins with https:// or http://")]
Abbreviation = Annotated[
    Line,
    rule(lambda text: len(text) <= MAX_ABBREVIATION_LENGTH, f"text of at most {MAX_ABBREVIATION_LENGTH} characters"),
]


class Affiliation(Settings, strict=True):  # the text "2" is not a number
    """Affiliation of an author."""

    abbreviation: Line
    institute: Line
    department: Line | None = None
    location: Line = Field(description="city, country")


class Author(Settings, strict=True):
    """Author of the submission. Exactly one is the corresponding author."""

    lastname: Line
    firstname: Line
    email: Annotated[Line, rule(EMAIL.fullmatch, "an address, name@example.org")]
    affiliation: Affiliation
    corresponding: bool = False


class ExternalDataset(Settings, strict=True):
    """Data that the system uses in addition to the challenge's."""

    name: Line
    url: Url
    total_audio_length: float = Field(gt=0, description="length in minutes")


def check_one_corresponding(authors: list[Any]) -> list[Any]:
    """Check that exactly one author is the corresponding author.

    Raises:
        ValueError: none is, or several are.
    """
    marked = sum(bool(author.corresponding) for author in authors)
    if marked != 1:
        raise ValueError(f"must have exactly one author with corresponding = true, and has {marked}")
    return authors


def check_datasets(usage: object, datasets: Sequence[object]) -> None:
    """Check that a description of external data comes with a list of it, and the other way round.

    Raises:
        ValueError: one of the two is missing.
    """
    if datasets and usage is None:
        raise ValueError("must come with a description of their use in external_data_usage")
    if usage is not None and not datasets:
        raise ValueError("must list the data of external_data_usage")


class Energy(Settings, strict=True):
    """Energy consumption as the challenge asks for it."""

    training: float | None = Field(None, ge=0)
    inference: float | None = Field(None, ge=0)
    baseline_inference: float | None = Field(None, ge=0)


class Details(Settings, strict=True):
    """Content of a `details.toml`. The context of its validation is the `Challenge`."""

    label: str
    name: Line
    abbreviation: Abbreviation
    authors: Annotated[list[Author], Field(min_length=1), AfterValidator(check_one_corresponding)]
    embeddings: Line | None = None
    data_augmentation: Line | None = Field(None, description="None: as stored in the model file")
    ensemble_count: int | None = Field(
        None, ge=1, description="number of systems in the ensemble; None: as stored in the model file"
    )
    pipeline: Line | None = None
    framework: Line = "pytorch"
    split_adaptations: Line | None = None
    system_adaptations: Line | None = None
    memory_use: float | None = Field(None, ge=0)
    energy_consumption: Energy = Energy()
    external_data_usage: Line | None = None
    external_datasets: list[ExternalDataset] = Field([], validate_default=True)
    source_code: Url | None = None

    @field_validator("label")
    @classmethod
    def _of_challenge(cls, label: str, info: ValidationInfo) -> str:
        challenge = info.context
        assert isinstance(challenge, Challenge)
        if not challenge.label_pattern.fullmatch(label):
            raise ValueError(f"must be {challenge.label_form}")
        return label

    @field_validator("external_datasets")
    @classmethod
    def _used(cls, datasets: list[ExternalDataset], info: ValidationInfo) -> list[ExternalDataset]:
        check_datasets(info.data.get("external_data_usage"), datasets)
        return datasets


SECTIONS = Details, Author, Affiliation, Energy, ExternalDataset


def read_details(path: Path, challenge: Challenge) -> Details:
    """Read and check a details file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a missing, unknown or invalid key, or one that the
            challenge does not use.
    """
    try:
        values = read_toml(path.read_bytes(), str(path))
    except OSError as error:
        fix = "scenelet submit details FILE.toml writes an example"
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {fix}") from None
    if unused := sorted(unused_keys(challenge) & values.keys()):
        raise UsageError(f"{path}: {challenge.title} does not ask for the key {unused[0]!r}; delete it")
    try:
        return Details.model_validate(values, context=challenge)
    except ValidationError as error:
        # a misspelled key is both unknown and missing; the first message is more helpful
        first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
        key = key_path(*first["loc"])
        if first["type"] == "extra_forbidden":
            known = [name for model in SECTIONS for name in model.model_fields]
            hint = did_you_mean(str(first["loc"][-1]), known)
            raise UsageError(f"{path}: unknown key {key!r}{hint}") from None
        reason = "is missing; add it" if first["type"] == "missing" else fault_reason(first)
        raise UsageError(f"{path}: key {key!r} {reason}") from None


def fault_reason(error: Any) -> str:
    """Return what a value must be, from an error of pydantic.

    >>> fault_reason({"type": "int_type", "msg": "Input should be a valid integer"})
    'must be a valid integer'
    """
    if error["type"] == "model_type":
        return "must be a section"
    reason: str = error["msg"].removeprefix("Value error, ")
    reason = re.sub(r"^[A-Z]\w* should ", "must ", reason).replace(" should ", " must ")
    return re.sub(r" after validation, not (\w+)", r", and has \1", reason)


def write_example(path: Path, challenge: Challenge) -> None:
    """Write an example of a details file to fill in.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path}: exists already and is not overwritten; give another name")
    replace_file(path, example(challenge))
