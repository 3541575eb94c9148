"""The cache folder, which holds what can be made again: features, statistics, compiled code, downloaded packages."""

import contextlib
import errno
import functools
import os
import stat
import tempfile
import time
from pathlib import Path

from scenelet.errors import OutputError
from scenelet.utils.console import print_message
from scenelet.utils.locks import file_lock

LOCK = "lock"
"""Lock file of a folder with features. Its time is that of the last use."""
MAX_FEATURE_BYTES = 20_000_000_000
"""Size of all features above which those that were not used for `UNUSED_SECONDS` are deleted."""
UNUSED_SECONDS = 7 * 86_400

_HASH = "[0-9a-f]" * 16
KINDS = {
    "features": (f"{_HASH}/index.jsonl", f"{_HASH}/windows.f16"),  # the index first: rows without it are ignored
    "statistics": (f"statistics-{_HASH}.jsonl",),
    "compiled code": (f"compiled/kernels-{_HASH}.so",),
    "packages": ("onnxruntime-web-*.tgz",),
}
"""Names of the files of each kind. The folder may be one of the user's, with other files."""


def cache_folder() -> Path:
    """Return the cache folder: `$SCENELET_CACHE`, or `scenelet` in the platform's folder for caches.

    A user without a home folder gets a temporary folder.
    """
    return Path(os.path.expanduser(os.environ.get("SCENELET_CACHE") or _default_folder()))


@functools.cache
def _default_folder() -> str:
    import platformdirs

    with contextlib.suppress(RuntimeError):  # older versions return a path that begins with ~
        folder = platformdirs.user_cache_dir("scenelet", appauthor=False)
        if not folder.startswith("~"):
            return folder
    path = Path(tempfile.gettempdir(), f"scenelet-{os.getuid()}")
    if path.exists() and path.lstat().st_uid != os.getuid():
        path = Path(tempfile.mkdtemp(prefix="scenelet-"))
    print_message(f"there is no home folder, so the cache is in {path}; SCENELET_CACHE chooses another folder")
    return str(path)


def make_cache_folder(path: Path) -> None:
    """Create a folder of the cache and its parent, which only this user may read and write, if they are missing.

    It raises OutputError if the folder cannot be created or written.
    """
    try:
        for folder in (path.parent, path):
            folder.mkdir(0o700, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        hint = "set SCENELET_CACHE to a folder that you can write"
        raise OutputError(f"{path}: the cache cannot be written ({error.strerror}); {hint}") from None


def exposed(path: Path) -> Path | None:
    """Return the part of an existing path that another user owns or can write: the path itself or a folder above it.

    Code is loaded only from a path without such a part. Root counts as this user, and so does a folder like `/tmp`,
    in which a user cannot replace the files of others.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return None
    real = path.resolve()
    for part in (real, *real.parents):
        status = part.stat()
        is_replaceable = status.st_mode & 0o022 and not (part != real and status.st_mode & stat.S_ISVTX)
        if status.st_uid not in (0, os.geteuid()) or is_replaceable:
            return part
    return None


def cache_sizes(root: Path) -> dict[str, int]:
    """Return the number of bytes of each kind of files in a cache folder.

    >>> cache_sizes(Path("no such folder"))
    {'features': 0, 'statistics': 0, 'compiled code': 0, 'packages': 0}
    """
    return {kind: sum(map(_size, _by_lock(root, kind).values())) for kind in KINDS}


def clear_cache(root: Path) -> list[Path]:
    """Delete the files that `cache_sizes` counts, and return those that are in use. Lock files stay; they are empty."""
    groups = [group for kind in KINDS for group in _by_lock(root, kind).items()]
    return [path for lock, paths in groups if not _delete(lock, paths) for path in paths]


def limit_features(root: Path, keep: Path) -> None:
    """Delete features that were not used for a week, the oldest first, while there are more than 20 GB.

    The folder `keep` is in use and stays.
    """
    groups = _by_lock(root, "features")
    used = {lock: lock.stat().st_mtime if lock.exists() else 0.0 for lock in groups}
    total = sum(map(_size, groups.values()))
    for lock in sorted(groups, key=lambda lock: used[lock]):
        if total <= MAX_FEATURE_BYTES or time.time() - used[lock] < UNUSED_SECONDS:
            return
        size = _size(groups[lock])
        if lock.parent != keep and _delete(lock, groups[lock]):
            total -= size
            print_message(f"{root}: deleted {size / 1e9:.1f} GB of features that were not used for a week")


def _by_lock(root: Path, kind: str) -> dict[Path, list[Path]]:
    """List the files of a kind, by the lock file that protects them."""
    groups: dict[Path, list[Path]] = {}
    for path in (path for pattern in KINDS[kind] for path in sorted(root.glob(pattern))):
        lock = path.with_suffix(".lock") if path.parent == root else path.with_name(LOCK)
        groups.setdefault(lock, []).append(path)
    return groups


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def _delete(lock: Path, paths: list[Path]) -> bool:
    """Delete files under their lock; return False if they are in use."""
    try:
        with file_lock(lock, "in use"):
            for path in paths:
                path.unlink(missing_ok=True)
    except (OSError, OutputError):
        return False
    return True
