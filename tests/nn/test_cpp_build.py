"""Compilation of the C++ files: cached, and optional."""

import os
import shutil
import stat
from pathlib import Path

import pytest
import torch

from helpers.processes import run_python
from scenelet.nn import cpp_build
from scenelet.nn.cpp_build import COMPILERS, build, is_available, library, only_pytorch
from scenelet.nn.norm import BatchNorm


def test_library_is_none_if_the_compiler_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path))
    library.cache_clear()
    try:
        for compiler in ("false", "no-such-compiler"):
            monkeypatch.setenv("CXX", compiler)
            library.cache_clear()
            assert library() is None
        assert not list(tmp_path.rglob("*.so"))
        y = BatchNorm(4, relu=True)(torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last))
        assert float(y.detach().min()) == 0
    finally:
        monkeypatch.undo()
        library.cache_clear()


def test_library_is_none_if_compilation_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENELET_COMPILE", "0")
    library.cache_clear()
    try:
        assert library() is None
    finally:
        monkeypatch.undo()
        library.cache_clear()


@pytest.mark.skipif(library() is None, reason="no C++ compiler was found")
def test_build_reuses_the_library(tmp_path: Path) -> None:
    compiler = next(path for name in COMPILERS if (path := shutil.which(name)))
    first = build(compiler, tmp_path)
    built_at = first.stat().st_mtime_ns
    assert build(compiler, tmp_path) == first
    assert first.stat().st_mtime_ns == built_at
    assert list(tmp_path.iterdir()) == [first]


def test_build_takes_the_vectors_that_pytorch_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[tuple[str, ...]] = []

    def run(*command: str | Path) -> None:
        commands.append(tuple(map(str, command)))
        Path(command[-1]).touch()

    monkeypatch.setattr(cpp_build, "_run", run)
    built = set()
    for capability in ("AVX512", "AVX2"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        built.add(build("c++", tmp_path))
    compiled = [command for command in commands if "-c" in command]
    assert len(built) == 2
    assert [("-mno-avx512f" in command) for command in compiled] == [
        is_narrow for is_narrow in (False, True) for _ in cpp_build.SOURCES
    ]


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the compiled library instead of building it again."""
    compiled = library()
    if os.name != "posix" or compiled is None:
        pytest.skip("needs permissions and a C++ compiler")
    monkeypatch.setattr(cpp_build, "_run", lambda *command: shutil.copy(compiled._name, command[-1]))


@pytest.mark.usefixtures("copied")
def test_library_refuses_a_cache_that_others_can_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("SCENELET_CACHE", str(tmp_path / "shared" / "cache"))
    library.cache_clear()
    try:
        assert library() is None
        assert f"{tmp_path / 'shared'}: another user owns it or can write to it" in capsys.readouterr().err
        (tmp_path / "shared").chmod(0o1777)
        library.cache_clear()
        assert library() is not None
        (built,) = (tmp_path / "shared" / "cache" / "compiled").glob("*.so")
        assert stat.S_IMODE(built.stat().st_mode) == 0o700
    finally:
        monkeypatch.undo()
        library.cache_clear()


@pytest.mark.usefixtures("copied")
def test_build_replaces_a_library_that_others_can_write(tmp_path: Path) -> None:
    built = build("c++", tmp_path)
    content = built.read_bytes()
    built.write_bytes(b"planted")
    assert build("c++", tmp_path).read_bytes() == b"planted"  # by this user
    built.chmod(0o777)
    assert build("c++", tmp_path).read_bytes() == content


FORKED = """
import os
import torch
import scenelet.nn

torch.set_num_threads(2)
weights = torch.ones(2000, 2000)
print(float((weights * weights).sum()))  # starts OpenMP's threads
child = os.fork()
if child == 0:
    print(float((weights * weights).sum()))
else:
    print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_pytorch_works_in_a_process_forked_after_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    done = run_python(tmp_path, FORKED)
    assert done.stdout.split() == ["4000000.0", "4000000.0", "0"], done.stderr


def test_pytorch_uses_as_many_threads_as_there_are_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as a quota of the container, see `scenelet.utils.parallel`
    script = "import scenelet.nn, torch\nprint(torch.get_num_threads())"
    assert run_python(tmp_path, script).stdout == "1\n"


@pytest.mark.skipif(library() is None, reason="no C++ compiler was found")
def test_only_pytorch_ends_with_its_context() -> None:
    with only_pytorch():
        assert not is_available()
    assert is_available()
