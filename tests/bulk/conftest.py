"""A model file, an archive, a finished job, an S3 store and a Ray cluster; and no waits before retries."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archives import Archive, make_archive
from helpers.tiny_model import tiny_model
from scenelet.data.download import session
from scenelet.model.file import write_model


@pytest.fixture(autouse=True, scope="package")
def _no_waits() -> Iterator[None]:
    """Try again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "BACKOFF_FACTOR", 0.0)
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a tiny model file."""
    path = tmp_path_factory.mktemp("model") / "tiny.scn"
    write_model(tiny_model(), path)
    return str(path)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of another model file with the same labels and features."""
    path = tmp_path_factory.mktemp("model") / "other.scn"
    write_model(tiny_model(seed=1), path)
    return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """URL of a bucket in a local S3 store, which the environment selects."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        fsspec.filesystem("s3").mkdir("archive")
        yield "s3://archive"
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.fixture(scope="session")
def finished_job(model: str, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished job: the archive's probabilities in five parts, written by this process."""
    from scenelet.bulk.run import predict

    out = tmp_path_factory.mktemp("finished") / "out"
    predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    return out


DEADLY = """
import os, sys
sys.addaudithook(lambda event, words: os._exit(1) if event == "open" and "deadly.wav" in str(words[0]) else None)
"""


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Ray cluster on this machine, whose workers die when they open a file named deadly.wav."""
    import ray

    from scenelet.bulk.engines import connect

    folder = tmp_path_factory.mktemp("deadly")
    (folder / "sitecustomize.py").write_text(DEADLY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        connect(workers=2)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()
