"""A small package file that stands in for onnxruntime-web."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from scenelet.export.web import onnxruntime_web
from scenelet.export.web.onnxruntime_web import PACKAGE_FILE, SCRIPT, WASM, WebRuntime

PARTS = WebRuntime(b"export const env = {};", b"\0asm\1\0\0\0")


def write_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a package file with `PARTS`, whose hash counts as the right one, and give the test a cache of its own."""
    path = folder / "package" / PACKAGE_FILE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name, data in ((SCRIPT, PARTS.script), (WASM, PARTS.wasm)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(onnxruntime_web, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setenv("SCENELET_CACHE", str(folder / "cache"))
    monkeypatch.delenv("SCENELET_ONNXRUNTIME_WEB", raising=False)
    return path
