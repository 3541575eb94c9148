"""What a submission needs and no model file knows: `details.toml`, filled in by its authors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from scenelet.config import Settings
from scenelet.config.recipes import read_toml
from scenelet.errors import OutputError, UsageError, did_you_mean
from scenelet.evaluation.submission.form import EMAIL, LABEL, LABEL_FORM, MAX_ABBREVIATION, URL, key_path
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
    if len(text) > MAX_ABBREVIATION:
        raise ValueError(f"has {len(text)} characters; {MAX_ABBREVIATION} at most")
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
    model_config = ConfigDict(strict=True)  # "2" is text, not a number


class Affiliation(_Strict):
    """Where an author works."""

    abbreviation: Line
    institute: Line
    department: Line | None = None
    location: Line = Field(description="city, country")


class Author(_Strict):
    """An author; one of them is the corresponding one."""

    lastname: Line
    firstname: Line
    email: Annotated[Line, AfterValidator(_email)]
    affiliation: Affiliation
    corresponding: bool = False


class ExternalDataset(_Strict):
    """Data other than the challenge's that the system was made with."""

    name: Line
    url: Url
    total_audio_length: float = Field(gt=0, description="minutes")


class Details(_Strict):
    """A whole `details.toml`."""

    label: Annotated[Line, AfterValidator(_label)]
    name: Line
    abbreviation: Annotated[Line, AfterValidator(_abbreviation)]
    authors: list[Author]
    embeddings: Line | None = None
    data_augmentation: Line | None = Field(None, description="None: as the model file says")
    ensemble_count: int = Field(1, ge=1, description="systems whose answers are joined")
    external_data_usage: Line | None = None
    external_datasets: list[ExternalDataset] = Field(default_factory=list)
    source_code: Url | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Details":
        marked = sum(author.corresponding for author in self.authors)
        if marked != 1:
            raise ValueError(f"corresponding = true stands at {marked} authors; mark exactly one")
        if self.external_datasets and self.external_data_usage is None:
            raise ValueError("external_datasets are listed; say in external_data_usage how they are used")
        if self.external_data_usage is not None and not self.external_datasets:
            raise ValueError("external_data_usage is given; list the data under external_datasets")
        return self


def read_details(path: Path) -> Details:
    """The checked contents of a details file.

    Raises:
        UsageError: no such file, not TOML, or a key that is missing, unknown or wrong.
    """
    try:
        values = read_toml(path.read_bytes(), str(path))
    except OSError as error:
        mend = "scenelet submit details FILE.toml writes an example"
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {mend}") from None
    try:
        return Details.model_validate(values)
    except ValidationError as error:
        # a misspelt key is unknown, and missing too: the first says more
        first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
        key, reason = key_path(*first["loc"]), first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), _keys(Details))
            raise UsageError(f"{path}: unknown key {key!r}{hint}") from None
        if first["type"] == "missing":
            raise UsageError(f"{path}: key {key!r} is missing; add it") from None
        raise UsageError(f"{path}: key {key!r}: {reason}" if key else f"{path}: {reason}") from None


def write_example(path: Path) -> None:
    """Write an example to fill in.

    Raises:
        OutputError: the file exists already, or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path}: exists already and is not written over; give another name")
    replace_file(path, EXAMPLE)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    yield from model.model_fields
    if model is Details:
        for inner in (Author, Affiliation, ExternalDataset):
            yield from inner.model_fields


EXAMPLE_LABEL = "Lastname_INST_task1b_1"
EXAMPLE = f"""\
# What `scenelet submit write` cannot know of a DCASE 2020 Task 1B submission. Fill it in.
# Lines that begin with # are optional: take the # away where one applies.

# corresponding author's last name, institute, task1b, and a number from 1 to 4 for each of your submissions
label = "{EXAMPLE_LABEL}"
name = "A name for tables that have room"
abbreviation = "Short"                  # 10 characters at most

# source_code = "https://example.org/repository"
# embeddings = "OpenL3"                 # pre-trained ones in use
# data_augmentation = "mixup, freqmix"  # instead of what the model file says
# ensemble_count = 1                    # systems whose answers are joined

# Data other than the challenge's: how it is used (directly, embeddings, pre-trained model), and the list below.
# external_data_usage = "pre-trained model"

# In the order in which authors are to be listed; corresponding = true at exactly one.
[[authors]]
lastname = "Lastname"
firstname = "Firstname"
email = "first.last@example.org"
corresponding = true

[authors.affiliation]
abbreviation = "INST"
institute = "Institute of Examples"
department = "Department of Acoustics"  # may be left out
location = "City, Country"

# [[authors]]
# lastname = "..."
# and so on

# [[external_datasets]]
# name = "AudioSet"
# url = "https://research.google.com/audioset/"
# total_audio_length = 347980.0         # minutes
"""
