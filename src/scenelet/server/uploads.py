"""Recordings in the multipart body of a request, kept in memory."""

import io

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from scenelet.errors import escape_unprintable
from scenelet.server.limits import ServerLimits
from scenelet.utils.text import pluralize

MAX_NAME_CHARACTERS = 255
MAX_FIELDS = 10  # in addition to the recordings
CONTENT_TYPE = b"multipart/form-data"
INVALID_BODY = "the request's body is not valid multipart/form-data, or ends early; send it again with curl -F"


class Upload(io.BytesIO):
    """Uploaded recording: an open binary file with the name from the request.

    Examples:
        >>> Upload("street.wav", b"RIFF").name
        'street.wav'
    """

    def __init__(self, name: str, data: bytes = b"") -> None:
        super().__init__(data)
        self.name = name


class _Form:
    """Files of a multipart body, from the callbacks of python-multipart."""

    def __init__(self, max_files: int) -> None:
        self.uploads: list[Upload] = []
        self.is_complete = False
        self._max_files, self._fields = max_files, 0
        self._header = self._value = self._disposition = b""
        self._file: Upload | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open_file,
                "on_part_data": self._add_data,
                "on_end": self._complete,
            },
        )

    def _begin_part(self) -> None:
        self._disposition, self._file = b"", None

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open_file(self) -> None:
        """Start a file if the part has a file name; other fields are ignored."""
        name = parse_options_header(self._disposition)[1].get(b"filename")
        if name is None:
            self._fields += 1
        else:
            self._file = Upload(escape_unprintable(_decode(name) or "recording")[:MAX_NAME_CHARACTERS])
            self.uploads.append(self._file)
        if len(self.uploads) > self._max_files or self._fields > MAX_FIELDS:
            maximum = pluralize(self._max_files, "recording")
            raise HTTPException(400, f"the request has more than {maximum} or {MAX_FIELDS} other fields; send fewer")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _complete(self) -> None:
        self.is_complete = True


async def read_uploads(request: Request, limits: ServerLimits) -> list[Upload]:
    """Return every file of the request, whatever the name of its field.

    Raises:
        HTTPException: 415 if the body is not multipart; 400 if it is damaged, or holds no file or too many.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    if content_type != CONTENT_TYPE:
        raise HTTPException(415, "send recordings as multipart/form-data: curl -F files=@street.wav")
    form, boundary = _Form(limits.max_files), options.get(b"boundary", b"")
    try:
        parser = form.parser(boundary)
        async for chunk in request.stream():
            parser.write(chunk)
    except FormParserError:
        form.is_complete = False
    except ClientDisconnect:
        raise HTTPException(400, "the client disconnected before its request was complete") from None  # never sent
    if not boundary or not form.is_complete:
        raise HTTPException(400, INVALID_BODY)
    if not form.uploads:
        raise HTTPException(400, "the request holds no recording; send at least one as a file: -F files=@street.wav")
    for upload in form.uploads:
        upload.seek(0)
    return form.uploads


def _decode(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
