"""Machines that see other recordings than the one where the command was started."""

from pathlib import Path

import pytest

from scenelet.bulk.job import check_probes, read_job, sample_inputs
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import process_shard
from scenelet.errors import DataError


def test_process_shard_with_other_recordings_refuses(finished_job: Path, tmp_path: Path) -> None:
    folder = Folder(str(finished_job))
    job = read_job(folder)
    probes = sample_inputs(job, folder)
    assert len(probes) > 1
    check_probes(probes)
    elsewhere = (str(tmp_path / "a.wav"), probes[0][1])
    with pytest.raises(DataError, match=r"a\.wav: cannot be read on the machine .*; mount the folder"):
        check_probes([*probes, elsewhere])
    Path(elsewhere[0]).write_bytes(b"RIFF")
    result = process_shard(str(finished_job), job.job_hash, (), (elsewhere,), 0)
    assert "a.wav: is another file on the machine" in result.error
