"""Seeds for recordings: 50 ms of sound in every supported format."""

import io

import numpy as np
import soundfile


def _sounds() -> list[bytes]:
    """Encode 50 ms of sound in every supported format."""
    samples = np.linspace(-0.5, 0.5, 400).reshape(-1, 2)
    kinds = [("WAV", kind) for kind in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW")]
    kinds += [("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
    found = []
    for kind, subtype in kinds:
        file = io.BytesIO()
        soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
        found.append(file.getvalue())
    return found


SEEDS = {
    "stream": lambda: _sounds()[:4],
    "recording": _sounds,
}
