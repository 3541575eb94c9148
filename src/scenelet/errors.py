"""Errors that a user can cause or fix; everything else is a bug and keeps its traceback.

Each message is one line that names the file or setting, the fault, and the fix. The command line prints it and
exits with `exit_code`: 1 if the work failed, 2 if the command was wrong.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable

_JOINERS = "\u200c\u200d"
"""Zero-width characters that Persian words and emoji sequences need."""

_SECRETS = re.compile(
    r"(?<=://)[^/\s]*(?=@)"
    r"|(?<=[?&])([^=&\s]*(?:token|sig|key|pass|pw|secret|cred|auth|session|jwt)[^=&\s]*=)[^&#\s]*[^&#\s:;,)]",
    re.IGNORECASE,
)
"""User and password of a URL, and values of its query whose names speak of a secret."""

MAX_MESSAGE_CHARACTERS = 1500
"""Maximum length of an error message. An error may quote a file, and a table's header may be a megabyte."""


class SceneletError(Exception):
    """Base class of every error that scenelet raises on purpose.

    Its text is one printable line. It may quote a file, whose control characters a terminal would obey. It shows no
    password of a URL, see `hide_secrets`.

    >>> str(SceneletError("two\\nlines"))
    'two\\\\nlines'
    """

    exit_code = 1

    def __str__(self) -> str:
        text = hide_secrets(escape_unprintable(super().__str__()))
        if len(text) <= MAX_MESSAGE_CHARACTERS:
            return text
        half = MAX_MESSAGE_CHARACTERS // 2
        return f"{text[:half]} ... {text[-half:]}"


class UsageError(SceneletError, ValueError):
    """The command, a setting or an argument is wrong."""

    exit_code = 2


class AudioError(SceneletError):
    """A recording cannot be read."""


class EmptyAudioError(AudioError):
    """A recording has no samples."""


class TruncatedAudioError(AudioError):
    """A recording ends earlier than its header says."""


class TooLongError(AudioError):
    """A recording is longer than its reader allows."""


class DecoderError(AudioError):
    """The decoder of a recording took too long or crashed."""


class DataError(SceneletError):
    """A data set, its table or its split cannot be used."""


class MissingAudioError(DataError):
    """Recordings that a table lists do not exist. `names` are their names."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class ModelFileError(SceneletError):
    """A file is not a `.scn` file, is damaged, or needs a newer version of scenelet."""


class OutputError(SceneletError):
    """A result cannot be written."""


class BusyError(OutputError):
    """Another process is writing to the same file or folder."""


class WorkerError(SceneletError):
    """A worker process died."""


class RunError(SceneletError):
    """A run folder is missing, incomplete or does not fit the command."""


class MissingExtraError(SceneletError, ImportError):
    """A package from one of scenelet's extras is not installed."""


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
    "h11": "serve",
    "multipart": "serve",
    "python_multipart": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "wsproto": "serve",
    "sounddevice": "mic",
    "openvino": "openvino",
    "ai_edge_litert": "tflite",
    "flatbuffers": "tflite",
    "tflite": "tflite",
    "tflite_micro": "tflite",
    "fsspec": "bulk",
    "pyarrow": "bulk",
    "s3fs": "bulk",
    "ray": "ray",
}
"""Extra that installs each module, by the module's name."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error that names the extra to install, or None if no extra has the missing module.

    >>> print(missing_extra(ModuleNotFoundError("No module named 'ray'", name="ray")))
    this needs ray; install it with: pip install "scenelet[ray]", or ".[ray]" in a clone
    """
    words = error.name.split(".")[:1] if error.name else re.findall(r"\w+", str(error))
    package = next((word for word in words if word in EXTRAS), None)
    if package is None:
        return None
    extra = EXTRAS[package]
    return MissingExtraError(
        f'this needs {package}; install it with: pip install "scenelet[{extra}]", or ".[{extra}]" in a clone'
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or an empty string if none is close.

    >>> did_you_mean("trian", ["train", "test"])
    "; did you mean 'train'?"
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def hide_secrets(text: str) -> str:
    """Replace passwords, tokens and signatures in the URLs of a text by `***`.

    >>> hide_secrets("https://me:pw@example.org/a.wav?id=1&token=abc: no such file")
    'https://***@example.org/a.wav?id=1&token=***: no such file'
    """
    return _SECRETS.sub(lambda found: f"{found[1] or ''}***", text)


def escape_unprintable(text: str) -> str:
    r"""Return the text on one line, with escapes for characters that cannot be seen.

    Such characters would move a terminal's cursor or reverse its text. A byte of a file name that is not UTF-8 becomes
    an escape like `\xff`.

    >>> print(escape_unprintable("two\nlines \u202etxt.wav"))
    two\nlines \u202etxt.wav
    """
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    is_space = unicodedata.category(character) == "Zs"  # spaces of any width
    if character.isprintable() or character in _JOINERS or is_space:
        return character
    if "\udc80" <= character <= "\udcff":  # `os.fsdecode` writes the bytes 0x80 to 0xff like this
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
