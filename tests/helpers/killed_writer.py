"""A process that dies at a chosen moment of its writing, without any last words; forked, so that it costs nothing."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from scenelet.utils import files

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
DIED = 77
"""Exit code of a process that has reached its moment."""


def writes_to(event: str, arguments: tuple[Any, ...], below: str) -> str:
    """Of an audit event: the path below a folder that is about to be written, renamed, removed or cut; or nothing."""
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return ""
    elif event not in WRITES:
        return ""
    path = os.fspath(arguments[0]) if isinstance(arguments[0], str | os.PathLike) else ""
    return path if path.startswith(below) else ""


def deaths(work: Callable[[], object], below: Path) -> Iterator[int]:
    """Have a process do `work` and die at its first moment of writing, at its second, ..., until it comes to its end.

    A moment is before a file below the folder is opened to write, renamed, removed, cut or brought to the disk, before
    a folder is made or removed, and between two halves of what `write_new_file` writes or `shutil.copyfileobj`
    copies. What is seen between two of them is what a kill leaves.
    """
    for moment in range(1, 10_000):
        if not _dies(work, below, moment):
            return
        yield moment


def _dies(work: Callable[[], object], below: Path, moment: int) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        gc.disable()  # it would touch, and so copy, all of the parent's memory
        try:
            _die_at(moment, str(below))
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, DIED), f"the work failed at moment {moment}: {code}"
    return code == DIED


def _die_at(moment: int, below: str) -> None:
    left, synchronize = moment, os.fsync

    def reach() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(DIED)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if writes_to(event, arguments, below):
            reach()

    def fsync(file: int) -> None:
        reach()
        synchronize(file)

    def write_new_file(path: Path, data: bytes | str) -> None:
        content = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        with path.open("xb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            reach()
            file.write(content[len(content) // 2 :])
            file.flush()
            os.fsync(file.fileno())

    def copyfileobj(source: BinaryIO, file: BinaryIO, length: int = 0) -> None:
        data = source.read()
        file.write(data[: len(data) // 2])
        file.flush()
        reach()
        file.write(data[len(data) // 2 :])

    os.fsync, files.write_new_file, shutil.copyfileobj = fsync, write_new_file, copyfileobj
    sys.addaudithook(hook)


def tree(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every file that is not hidden, below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = ((path.relative_to(folder), path) for path in paths)
    return {str(name): path.read_bytes() for name, path in names if not any(p.startswith(".") for p in name.parts)}
