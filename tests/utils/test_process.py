"""Process settings: freed memory is reused without page faults, and the limit of open files is raised."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import scenelet
from scenelet.utils.process import open_files

SCRIPT = """
import resource, sys
size = 40_000_000
from scenelet.utils.process import give_back_memory, keep_freed_memory
if sys.argv[1] != "default" and not keep_freed_memory():
    print(-1); sys.exit()
if sys.argv[1] == "given back":
    give_back_memory()
for _ in range(3):
    bytes(size) + b"x"
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    bytes(size) + b"x"
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    """Page faults while large blocks are allocated again; -1 without glibc."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_keep_freed_memory_reuses_large_blocks() -> None:
    pytest.importorskip("resource")
    kept = page_faults("kept")
    if kept < 0:
        pytest.skip("not on glibc")
    assert kept < 1000 < page_faults("default") / 2
    assert kept < 1000 < page_faults("given back") / 2


def test_open_files_raises_the_limit_up_to_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    limits = [100, 400]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.__setitem__(slice(None), wanted))
    assert (open_files(50), limits) == (50, [100, 400])
    assert (open_files(200), limits) == (200, [200, 400])
    assert (open_files(1000), limits) == (400, [400, 400])


def test_only_the_command_line_changes_the_process() -> None:
    """A notebook that trains keeps its allocator."""
    package = Path(scenelet.__file__).parent
    callers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\b(tune|keep_freed_memory|give_back_memory|open_files)\(", path.read_text("utf-8"))
    }
    # Ray's workers are processes of their own, and so are those of a job
    assert callers <= {"cli/__init__.py", "cli/serve.py", "server/run.py", "bulk/engines.py", "utils/process.py"}
