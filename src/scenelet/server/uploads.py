"""Recordings in the multipart body of a request, kept in memory."""

import io

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from scenelet.errors import escape_unprintable
from scenelet.server.limits import ServerLimits

MAX_NAME_CHARACTERS = 255
MAX_FIELDS = 10  # in addition to the recordings


class Upload(io.BytesIO):
    """Uploaded recording: an open binary file with the name from the request.

    Examples:
        >>> Upload("street.wav", b"RIFF").name
        'street.wav'
    """

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position like a file's `seek`, but treat a negative one as 0.

        A damaged recording can make libsndfile seek before the start, and its callback cannot report an error.
        """
        return super().seek(max(0, offset) if whence == io.SEEK_SET else offset, whence)


class _InMemoryParser(MultiPartParser):
    spool_max_size = 1 << 40  # admission control limits the body, so recordings never become temporary files

    def __setattr__(self, name: str, value: object) -> None:
        # the client may name any Python codec; some fail, and some return text that JSON cannot hold
        super().__setattr__(name, "utf-8" if name == "_charset" else value)


async def read_uploads(request: Request, limits: ServerLimits) -> list[Upload]:
    """Return every file of the request, whatever the name of its field.

    Raises:
        HTTPException: 415 if the body is not multipart; 400 if it is damaged, or holds no file or too many.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "send recordings as multipart/form-data: curl -F files=@street.wav")
    parser = _InMemoryParser(request.headers, request.stream(), max_files=limits.max_files, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the request's body is not valid multipart/form-data: {error.message}") from None
    except ClientDisconnect:
        raise HTTPException(400, "the client disconnected before its request was complete") from None  # never sent
    uploads = []
    for _, part in form.multi_items():
        if not isinstance(part, str):
            name = escape_unprintable(part.filename or "recording")[:MAX_NAME_CHARACTERS]
            uploads.append(Upload(name, await part.read()))
            await part.close()
    if not uploads:
        raise HTTPException(400, "the request holds no recording; send at least one as a file: -F files=@street.wav")
    return uploads
