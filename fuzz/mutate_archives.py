"""Mutations of a `torch.save` file. The ZIP directory and checksums stay valid, so the pickle is read."""

import io
import random
import zipfile

from fuzz.mutate_models import Bytes, mutate_one


def mutate(data: bytes, max_size: int, seed: int, mutate_bytes: Bytes) -> bytes:
    """Return a mutation of one file."""
    rng = random.Random(seed)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OSError):
        return mutate_bytes(data, max_size)
    if not entries or rng.random() < 0.05:
        return mutate_bytes(data, max_size)
    pickles = [name for name in entries if name.endswith(".pkl")]
    name = rng.choice(pickles if pickles and rng.random() < 0.8 else list(entries))
    if rng.random() < 0.02:
        del entries[name]
    elif rng.random() < 0.5:
        entries[name] = mutate_one(entries[name], rng)
    else:
        entries[name] = mutate_bytes(entries[name], len(entries[name]) + 32)
    packed = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.01 else zipfile.ZIP_STORED
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return packed.getvalue()
