"""A path or URL of a recording -> what `Classifier.predict` takes."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scenelet.errors import AudioError
from scenelet.scale.remote import RefusedError, fetch, is_url, plain


@contextlib.contextmanager
def recording(place: str) -> Iterator[Path | BinaryIO]:
    """A recording to read from: a path as it is, a URL as a temporary copy, which goes away.

    Raises:
        AudioError: the URL leads to nothing that may be read.
        DataError: it cannot be reached: that says nothing about the recording.
        OutputError: there is no room for the copy.
    """
    place = plain(place)
    if not is_url(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="scenelet-") as scratch:
        copy = Path(scratch, "copy")
        try:
            fetch(place, copy)
        except RefusedError as error:
            raise AudioError(str(error)) from None
        with copy.open("rb") as file:
            file.raw.name = place  # type: ignore[attr-defined]  # what errors call it
            yield file
