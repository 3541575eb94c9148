"""The errors a user can cause or mend; everything else is a bug and keeps its traceback.

Each message is one sentence that names the file or setting and says what to do. The command line
prints it and ends with `exit_code`: 1 when the work failed, 2 when the command was wrong.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable

_JOINERS = "\u200c\u200d"
"""Persian words and families of emoji are written with them."""

MAX_MESSAGE_CHARACTERS = 1500
"""Characters of an error: a table's header may be a megabyte."""


class SceneletError(Exception):
    """Base of every error that scenelet raises on purpose.

    As text it is one line: what it quotes of a file may be anything, and a terminal would obey control characters.
    """

    exit_code = 1

    def __str__(self) -> str:
        text = escape_unprintable(super().__str__())
        return (
            text
            if len(text) <= MAX_MESSAGE_CHARACTERS
            else f"{text[: MAX_MESSAGE_CHARACTERS // 2]} ... {text[-MAX_MESSAGE_CHARACTERS // 2 :]}"
        )


class UsageError(SceneletError, ValueError):
    """The command, a setting or an argument is wrong."""

    exit_code = 2


class AudioError(SceneletError):
    """A recording cannot be read."""


class EmptyAudioError(AudioError):
    """A recording holds no sound."""


class TruncatedAudioError(AudioError):
    """A recording ends before its header says."""


class TooLongError(AudioError):
    """A recording is longer than its reader allows."""


class DataError(SceneletError):
    """A data set, its table or its split cannot be used."""


class ModelFileError(SceneletError):
    """A `.scn` file is not one, is damaged, or asks for something this version does not know."""


class OutputError(SceneletError):
    """A result cannot be written."""


class BusyError(OutputError):
    """Another process is at work where a result is to be written."""


class RunError(SceneletError):
    """A run folder is missing, incomplete or does not fit the command."""


class MissingExtraError(SceneletError, ImportError):
    """A package is not installed that comes with one of scenelet's extras."""


EXTRAS = {
    "torch": "train",
    "lightning": "train",
    "matplotlib": "train",
    "sklearn": "train",
    "tensorboard": "train",
    "requests": "fetch",
    "urllib3": "fetch",
    "fastapi": "serve",
    "fastapi_offline": "serve",
    "httptools": "serve",
    "multipart": "serve",
    "python_multipart": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "websockets": "serve",
    "sounddevice": "mic",
    "openvino": "openvino",
    "aiohttp": "bulk",
    "fsspec": "bulk",
    "pyarrow": "bulk",
    "s3fs": "bulk",
    "pandas": "ray",
    "ray": "ray",
}
"""Module -> the extra that brings it."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error that says which extra to install, or None when none has what is missing."""
    words = error.name.split(".")[:1] if error.name else re.findall(r"\w+", str(error))
    package = next((word for word in words if word in EXTRAS), None)
    if package is None:
        return None
    extra = EXTRAS[package]
    return MissingExtraError(
        f'this needs {package}; install it with: pip install "scenelet[{extra}]", or ".[{extra}]" in a clone'
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def escape_unprintable(text: str) -> str:
    """A text or a file's name on one line, with escapes for what cannot be seen: `\\n`, `\\x1b`, `\\u202e`.

    They would move a terminal's cursor or turn its letters round. A byte of a name that is no UTF-8 becomes `\\xff`.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs":  # spaces of any width
        return letter
    if "\udc80" <= letter <= "\udcff":  # as `os.fsdecode` writes the bytes 0x80 to 0xff
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
