"""A path or URL of a recording -> what `Classifier.predict` takes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scenelet.bulk.remote import RefusedError, is_url, local_copy, plain
from scenelet.errors import AudioError


@contextlib.contextmanager
def open_input(place: str) -> Iterator[Path | BinaryIO]:
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
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(local_copy(place))
        except RefusedError as error:
            raise AudioError(str(error)) from None
        yield file
