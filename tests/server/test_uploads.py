"""Multipart bodies: names, damage and missing recordings."""

import httpx
import pytest

from helpers.raw_http import exchange, upload_request

DISPOSITION = b'--b\r\nContent-Disposition: form-data; name="f"'


def post(address: str, **options: object) -> tuple[int, str]:
    response = httpx.post(f"{address}/predict", **options)  # type: ignore[arg-type]
    return response.status_code, response.json()["detail"]


def test_read_uploads_without_recording_has_clear_error(tiny_service: str) -> None:
    assert post(tiny_service, json={})[0] == 415
    assert post(tiny_service, files={"note": (None, "text")}) == (
        400,
        "the request holds no recording; send at least one as a file: -F files=@street.wav",
    )
    assert post(tiny_service, content=b"--b", headers={"Content-Type": "multipart/form-data"})[0] == 400
    assert post(tiny_service, content=b"junk", headers={"Content-Type": "multipart/form-data; boundary=b"})[0] == 400


CHARSETS = ("unicode_escape", "idna", "utf-7", "punycode", "zlib", "utf-16", "undefined")


@pytest.mark.parametrize("charset", CHARSETS)
def test_read_uploads_names_are_utf8_in_any_charset(tiny_service: str, charset: str) -> None:
    body = DISPOSITION + b'; filename="\\ud800\xff.wav"\r\n\r\nx\r\n--b--\r\n'
    content_type = f"multipart/form-data; boundary=b; charset={charset}"
    response = exchange(tiny_service, upload_request(tiny_service, body, content_type))
    assert b" 422 " in response
    assert '"file":"\\\\ud800\xff.wav"'.encode() in response


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../etc/passwd", b"../../etc/passwd"),
        (b"a\0b", b"a\\\\x00b"),
        (b"\x1b[2J", b"\\\\x1b[2J"),
        (b"\xc2\x9b2J", b"\\\\x9b2J"),
        (b"\xe2\x80\xaeexe", b"\\\\u202eexe"),
        (b"n" * 3000, b"n" * 255),
    ],
)
def test_read_uploads_malicious_name_is_escaped(tiny_service: str, name: bytes, shown: bytes) -> None:
    body = DISPOSITION + b'; filename="' + name + b'"\r\n\r\nx\r\n--b--\r\n'
    assert b'"file":"' + shown + b'","error":"' in exchange(tiny_service, upload_request(tiny_service, body))


@pytest.mark.parametrize(
    "body",
    [
        DISPOSITION + b'; filename="a"\r\n\r\nx\r\n' + DISPOSITION + b'; filename="b"\r\n\r\nx',
        DISPOSITION + b'; filename="' + b"n" * 1_000_000,
        b"--b\r\n" + b"A: b\r\n" * 5000,
    ],
)
def test_read_uploads_damaged_body_is_refused(tiny_service: str, body: bytes) -> None:
    response = exchange(tiny_service, upload_request(tiny_service, body))
    assert b" 400 " in response
    assert b"the request's body is not valid multipart/form-data" in response


@pytest.mark.parametrize("name", [b'; filename="a"', b""])
def test_read_uploads_too_many_parts_are_refused(tiny_service: str, name: bytes) -> None:
    body = (DISPOSITION + name + b"\r\n\r\nx\r\n") * 5000
    response = exchange(tiny_service, upload_request(tiny_service, body))
    assert b" 400 " in response
    assert b"the request has more than 100 recordings or 10 other fields; send fewer" in response
