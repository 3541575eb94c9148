"""Seeds for recordings: 50 ms of sound in every supported format."""

import io

import numpy as np
import soundfile


def _sounds() -> list[bytes]:
    """Encode 50 ms of sound in every supported format."""
    samples = np.linspace(-0.5, 0.5, 400).reshape(-1, 2)
    kinds = [("WAV", kind) for kind in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW")]
    kinds += [("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
    kinds += [("OGG", "OPUS"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "ALAC_16"), ("W64", "PCM_16")]
    kinds += [("WAV", "MS_ADPCM"), ("WAV", "PCM_U8")]
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
