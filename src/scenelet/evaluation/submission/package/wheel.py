"""Content of a wheel of scenelet that a package contains."""

import io
import re
import zipfile

WHEEL_NAME = re.compile(r"scenelet-([^-]+)(-[^-]+){3,4}\.whl")


def wheel_fault(name: str, data: bytes) -> str | None:
    """Return why a file is not a wheel of scenelet, or None. Nothing of it is unpacked.

    >>> wheel_fault("other-1.0-py3-none-any.whl", b"")
    'is not named as a wheel of scenelet, scenelet-VERSION-py3-none-any.whl'
    >>> wheel_fault("scenelet-1.0-py3-none-any.whl", b"")
    'is not a wheel'
    """
    match = WHEEL_NAME.fullmatch(name)
    if match is None:
        return "is not named as a wheel of scenelet, scenelet-VERSION-py3-none-any.whl"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            found = set(wheel.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "is not a wheel"
    for needed in (f"scenelet-{match[1]}.dist-info/METADATA", "scenelet/__init__.py"):
        if needed not in found:
            return f"is not a wheel of scenelet {match[1]}: it lacks {needed}"
    return None
