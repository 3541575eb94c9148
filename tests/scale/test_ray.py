"""The Ray engine on a cluster of its own: the same parts as the local one, also when a worker is killed meanwhile.

Nodes and drivers that die: `bench/bulk.py`, which takes minutes.
"""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from archive import Archive, parts_of, write_manifest
from scenelet.scale import run


def at_work(driver: int) -> psutil.Process | None:
    """One of the driver's workers that has a task: Ray puts it into its title."""
    for process in psutil.Process(driver).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::MapBatches" in " ".join(process.cmdline()):
                return process
    return None


def test_a_worker_dies(model: str, archive: Archive, tmp_path: Path) -> None:
    long = archive.manifest.with_name("long.csv")
    write_manifest(long, 60 * archive.names)
    run.predict(model, str(long), str(tmp_path / "local"), shard=100)
    expected = parts_of(tmp_path / "local")
    command = [sys.executable, "-m", "scenelet", "predict", model, str(long), "--out", str(tmp_path / "ray")]
    options = ["--engine", "ray", "--workers", "2", "--format", "json"]
    driver = subprocess.Popen([*command, *options, "--shard", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not (parts_of(tmp_path / "ray") and (worker := at_work(driver.pid))):
            assert driver.poll() is None
            time.sleep(0.01)
        worker.kill()
        killed_after = len(parts_of(tmp_path / "ray"))
        out, err = driver.communicate()
    finally:
        driver.kill()
    assert driver.returncode == 0, err.decode()
    assert killed_after < len(expected)
    assert parts_of(tmp_path / "ray") == expected
    summary = json.loads(out)  # nothing of Ray's on stdout
    assert (summary["inputs"], summary["errors"]) == (60 * len(archive.names), 60 * len(archive.bad))
