"""The Ray engine on a cluster of its own: the same parts as the local one, also when a worker is killed meanwhile.

What kills every worker is left out, and nothing else.

Nodes and drivers that die: `benchmarks/speed/bulk_engines.py`, which takes minutes.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from helpers.archives import Archive, make_archive, parts_of, write_manifest
from scenelet.bulk import run


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
    run.predict(model, str(long), str(tmp_path / "local"), shard_size=100)
    expected = parts_of(tmp_path / "local")
    command = [sys.executable, "-m", "scenelet", "predict", model, str(long), "--out", str(tmp_path / "ray")]
    options = ["--engine", "ray", "--workers", "2", "--format", "json"]
    driver = subprocess.Popen(
        [*command, *options, "--shard-size", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
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


DEADLY = """
import os, sys
sys.addaudithook(lambda event, words: os._exit(1) if event == "open" and "deadly" in str(words[0]) else None)
"""
WITHOUT_RETRIES = """
import sys
from scenelet.bulk import engines, run
engines.RETRIES = 0
run.predict(*sys.argv[1:], engine="ray", workers=1, shard=1)
"""


def test_a_recording_that_kills_its_worker(model: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    archive = make_archive(tmp_path)
    (tmp_path / "clips/deadly.wav").write_bytes((tmp_path / "clips/0.wav").read_bytes())
    names = [name for name in archive.names if name not in archive.bad][:12]
    write_manifest(archive.manifest, [names[0], "clips/deadly.wav", *names[1:]])  # in the first task, which has several
    command = [sys.executable, "-c", WITHOUT_RETRIES, model, str(archive.manifest), str(tmp_path / "out")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert "OutputError" in done.stderr
    assert "1 of 13 parts could not be made (their workers died again and again" in done.stderr
    assert [int(name.split("-")[1]) for name in sorted(parts_of(tmp_path / "out"))] == [0, *range(2, 13)]
