"""Settings of the process: freed memory comes back without page faults."""

import subprocess
import sys

import pytest

from scenelet.utils.process import open_files

SCRIPT = """
import resource, sys
size = 40_000_000
from scenelet.utils.process import give_back_memory, keep_freed_memory
if sys.argv[1] != "as it is" and not keep_freed_memory():
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


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_large_block_that_was_freed_is_used_again() -> None:
    pytest.importorskip("resource")
    kept = faults("kept")
    if kept < 0:
        pytest.skip("not on glibc")
    assert kept < 1000 < faults("as it is") / 2
    assert kept < 1000 < faults("given back") / 2


def test_as_many_files_as_the_system_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    limits = [100, 400]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, asked: limits.__setitem__(slice(None), asked))
    assert (open_files(50), limits) == (50, [100, 400])
    assert (open_files(200), limits) == (200, [200, 400])
    assert (open_files(1000), limits) == (400, [400, 400])
