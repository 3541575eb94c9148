"""The recordings in a request's body: multipart, kept in memory, nothing on disk."""

import io

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from scenelet.errors import escape_unprintable
from scenelet.server.limits import ServerLimits

MAX_NAME_CHARACTERS = 255  # characters
MAX_FIELDS = 10  # beside the recordings


class Upload(io.BytesIO):
    """An uploaded recording: an open binary file with the name that the client gave it."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's; a damaged recording may lead its reader before the beginning, which a callback cannot refuse."""
        return super().seek(max(0, offset) if whence == io.SEEK_SET else offset, whence)


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40  # the gate bounds a body; a recording never becomes a temporary file

    def __setattr__(self, name: str, value: object) -> None:
        # the client's choice would be any of Python's codecs, of which some fail, and some make what no text can hold
        super().__setattr__(name, "utf-8" if name == "_charset" else value)


async def uploads(request: Request, limits: ServerLimits) -> list[Upload]:
    """Every file of the request, whatever its field is called.

    Raises:
        HTTPException: 415 the body is not multipart; 400 it is damaged, or holds no file or too many.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "send recordings as multipart/form-data: curl -F files=@street.wav")
    parser = _InMemory(request.headers, request.stream(), max_files=limits.max_files, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the request's body is not what it says: {error.message}") from None
    except ClientDisconnect:
        raise HTTPException(400, "the client went away before its request was there") from None  # nobody reads it
    found = []
    for _, part in form.multi_items():
        if not isinstance(part, str):
            found.append(
                Upload(escape_unprintable(part.filename or "recording")[:MAX_NAME_CHARACTERS], await part.read())
            )
            await part.close()
    if not found:
        raise HTTPException(400, "the request holds no recording; send at least one as a file: -F files=@street.wav")
    return found
