"""Paths and URLs as text."""

import os
from urllib.parse import quote

HTTP_PROTOCOLS = ("http", "https")


def is_url(path: str) -> bool:
    """Tell whether this is a URL rather than a path.

    Examples:
        >>> is_url("s3://bucket/a.wav"), is_url("clips/a.wav")
        (True, False)
    """
    return "://" in path


def protocol(url: str) -> str:
    """Return the protocol of a URL in lower case."""
    return url.partition("://")[0].lower()


def host_of(url: str) -> str:
    """Return the protocol and the host or bucket of a URL, without a password.

    Examples:
        >>> host_of("https://user:secret@example.org:8000/a.wav"), host_of("s3://bucket/a.wav")
        ('https://example.org:8000', 's3://bucket')
    """
    return f"{protocol(url)}://{url.partition('://')[2].partition('/')[0].rpartition('@')[2]}"


def strip_file_scheme(path: str) -> str:
    """Return the path of a `file://` URL; return every other path or URL unchanged."""
    return path.partition("://")[2] if is_url(path) and protocol(path) == "file" else path


def join(base: str, name: str) -> str:
    """Append a relative name to the folder or URL `base`; return an absolute path or URL without `file://`.

    The name is that of a file, so characters with a meaning in HTTP addresses are escaped.

    Examples:
        >>> join("s3://bucket/set", "a.wav"), join("/set", "/clips/a.wav"), join("/set", "file:///clips/a.wav")
        ('s3://bucket/set/a.wav', '/clips/a.wav', '/clips/a.wav')
        >>> join("https://example.org/set", "50% #1?.wav")
        'https://example.org/set/50%25%20%231%3F.wav'
    """
    if is_url(name) or os.path.isabs(name):
        return strip_file_scheme(name)
    if not is_url(base):
        return os.path.join(base, name)
    return f"{base.rstrip('/')}/{quote(name) if protocol(base) in HTTP_PROTOCOLS else name}"


def parent(path: str) -> str:
    """Return the folder that contains a file.

    Examples:
        >>> parent("s3://bucket/set/a.wav"), parent("/set/a.wav"), parent("https://host/set/a.csv?key=b/c#d/e")
        ('s3://bucket/set', '/set', 'https://host/set')
    """
    return without_query(path).rpartition("/")[0] if is_url(path) else os.path.dirname(os.path.abspath(path))


def without_query(path: str) -> str:
    """Return an HTTP address without its query and fragment; return every other path or URL unchanged."""
    return path.partition("#")[0].partition("?")[0] if is_url(path) and protocol(path) in HTTP_PROTOCOLS else path


def error_reason(error: BaseException) -> str:
    """Return the message of an error in one line.

    Examples:
        >>> error_reason(FileNotFoundError(2, "No such file or directory", "a.wav"))
        'No such file or directory'
        >>> error_reason(TimeoutError())
        'TimeoutError'
    """
    message = error.strerror if isinstance(error, OSError) and isinstance(error.strerror, str) else str(error)
    return next((" ".join(line.split()) for line in message.splitlines() if line.strip()), type(error).__name__)
