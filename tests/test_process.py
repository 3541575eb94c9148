"""Settings of the process: freed memory comes back without page faults."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
size = 40_000_000
from scenelet.process import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    print(-1); sys.exit()
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
    assert kept < 1000 < faults("given back") / 2
