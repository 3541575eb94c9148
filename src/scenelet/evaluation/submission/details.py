"""Details of a submission that its authors give in `details.toml`, since no model file stores them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from scenelet.config import Settings
from scenelet.config.recipes import read_toml
from scenelet.errors import OutputError, UsageError, did_you_mean
from scenelet.evaluation.submission.form import EMAIL, LABEL, LABEL_FORM, MAX_ABBREVIATION_LENGTH, URL, key_path
from scenelet.utils.files import replace_file


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text")
    return text.strip()


def _label(text: str) -> str:
    if not LABEL.fullmatch(text):
        raise ValueError(f"must be {LABEL_FORM}")
    return text


def _abbreviation(text: str) -> str:
    if len(text) > MAX_ABBREVIATION_LENGTH:
        raise ValueError(f"has {len(text)} characters; the maximum is {MAX_ABBREVIATION_LENGTH}")
    return text


def _email(text: str) -> str:
    if not EMAIL.fullmatch(text):
        raise ValueError("must be an address, name@example.org")
    return text


def _url(text: str) -> str:
    if not URL.fullmatch(text):
        raise ValueError("must be an address that begins with https:// or http://")
    return text


Line = Annotated[str, AfterValidator(_line)]
Url = Annotated[Line, AfterValidator(_url)]


class _Strict(Settings):
    model_config = ConfigDict(strict=True)  # the text "2" is not a number


class Affiliation(_Strict):
    """Affiliation of an author."""

    abbreviation: Line
    institute: Line
    department: Line | None = None
    location: Line = Field(description="city, country")


class Author(_Strict):
    """Author of the submission. Exactly one is the corresponding author."""

    lastname: Line
    firstname: Line
    email: Annotated[Line, AfterValidator(_email)]
    affiliation: Affiliation
    corresponding: bool = False


class ExternalDataset(_Strict):
    """Data that the system uses in addition to the challenge's."""

    name: Line
    url: Url
    total_audio_length: float = Field(gt=0, description="length in minutes")


class Details(_Strict):
    """Content of a `details.toml`."""

    label: Annotated[Line, AfterValidator(_label)]
    name: Line
    abbreviation: Annotated[Line, AfterValidator(_abbreviation)]
    authors: list[Author]
    embeddings: Line | None = None
    data_augmentation: Line | None = Field(None, description="None: as stored in the model file")
    ensemble_count: int = Field(1, ge=1, description="number of systems in the ensemble")
    external_data_usage: Line | None = None
    external_datasets: list[ExternalDataset] = Field(default_factory=list)
    source_code: Url | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Details":
        marked = sum(author.corresponding for author in self.authors)
        if marked != 1:
            raise ValueError(f"{marked} authors have corresponding = true; mark exactly one")
        if self.external_datasets and self.external_data_usage is None:
            raise ValueError("external_datasets are listed; describe their use in external_data_usage")
        if self.external_data_usage is not None and not self.external_datasets:
            raise ValueError("external_data_usage is given; list the data under external_datasets")
        return self


def read_details(path: Path) -> Details:
    """Read and check a details file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a missing, unknown or invalid key.
    """
    try:
        values = read_toml(path.read_bytes(), str(path))
    except OSError as error:
        fix = "scenelet submit details FILE.toml writes an example"
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {fix}") from None
    try:
        return Details.model_validate(values)
    except ValidationError as error:
        # a misspelled key is both unknown and missing; the first message is more helpful
        first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
        key, reason = key_path(*first["loc"]), first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), _keys(Details))
            raise UsageError(f"{path}: unknown key {key!r}{hint}") from None
        if first["type"] == "missing":
            raise UsageError(f"{path}: key {key!r} is missing; add it") from None
        raise UsageError(f"{path}: key {key!r}: {reason}" if key else f"{path}: {reason}") from None


def write_example(path: Path) -> None:
    """Write an example of a details file to fill in.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path}: exists already and is not overwritten; give another name")
    replace_file(path, EXAMPLE)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    yield from model.model_fields
    if model is Details:
        for inner in (Author, Affiliation, ExternalDataset):
            yield from inner.model_fields


EXAMPLE_LABEL = "Lastname_INST_task1b_1"
EXAMPLE = f"""\
# Details of a DCASE 2020 Task 1B submission, for `scenelet submit write`. Fill them in.
# Optional keys are commented out. Remove the # of those that apply.

# Last name of the corresponding author, institute, task1b, and a number from 1 to 4 for each of your submissions
label = "{EXAMPLE_LABEL}"
name = "Full name of the system"
abbreviation = "Short"                  # at most 10 characters

# source_code = "https://example.org/repository"
# embeddings = "OpenL3"                 # pretrained embeddings
# data_augmentation = "mixup, freqmix"  # default: as stored in the model file
# ensemble_count = 1                    # number of systems in the ensemble

# Use of data other than the challenge's (directly, embeddings, pre-trained model); list the data at the end.
# external_data_usage = "pre-trained model"

# Authors in the order of their listing. Exactly one has corresponding = true.
[[authors]]
lastname = "Lastname"
firstname = "Firstname"
email = "first.last@example.org"
corresponding = true

[authors.affiliation]
abbreviation = "INST"
institute = "Institute of Examples"
department = "Department of Acoustics"  # optional
location = "City, Country"

# [[authors]]
# lastname = "..."
# ...

# [[external_datasets]]
# name = "AudioSet"
# url = "https://research.google.com/audioset/"
# total_audio_length = 347980.0         # minutes
"""
