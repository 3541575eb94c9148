"""A model file, an archive, and a store that speaks S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archives import Archive, make_archive
from helpers.tiny_model import tiny_model
from scenelet.model import file as modelfile


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.scn"
    modelfile.write_model(tiny_model(), path)
    return str(path)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A bucket of an S3 on this machine, to which the environment leads."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        fsspec.filesystem("s3").mkdir("archive")
        yield "s3://archive"
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.fixture(scope="session")
def done(model: str, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished job: the archive's probabilities in five parts, made by this process."""
    from scenelet.bulk.run import predict

    out = tmp_path_factory.mktemp("done") / "out"
    predict(model, str(archive.manifest), str(out), workers=1, shard_size=8)
    return out
