"""A folder with a page that runs a model in the browser: `scenelet export MODEL --to web`.

    index.html                      the page, and the script of its worker
    model.js                        the model: two ONNX graphs
    onnxruntime-web.js              the runtime
    onnxruntime-web.LICENSE.txt     its license

Browsers let a page from a disk load scripts, but neither workers nor data. So the worker is a part of the page, and
data are scripts with gzip data as Base64. That also makes them small on hosts that do not compress.
"""

import base64
import gzip
import hashlib
import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scenelet import __version__
from scenelet.audio.windows import MIN_SECONDS
from scenelet.export.folders import check_replaceable
from scenelet.export.onnx_file import onnx_bytes
from scenelet.export.web.onnxruntime_web import VERSION, WebRuntime
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_network import mel_to_onnx
from scenelet.inference.stream import DEFAULT_HOP_SECONDS
from scenelet.inference.threshold import json_thresholds
from scenelet.utils import html
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.html.live_page import heading

PAGE, MODEL_FILE, RUNTIME_FILE = "index.html", "model.js", "onnxruntime-web.js"
LICENSE_FILE, NOTICES_FILE = "onnxruntime-web.LICENSE.txt", "onnxruntime-web.ThirdPartyNotices.txt"
MAX_SECONDS, MAX_FILE_BYTES = 600, 200_000_000
"""Limits of a recording. A browser holds all samples in memory, about 200 MB for ten minutes of stereo."""
PIECE_SECONDS = 2.0  # of a recording's spectrogram
FORMATS = "WAV, MP3, FLAC and others that this browser can play"
EXTENSIONS = ".wav,.mp3,.flac,.ogg,.opus,.m4a,.webm"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' blob: data: 'wasm-unsafe-eval'; worker-src blob:;"
    " style-src 'unsafe-inline'; img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
)
"""Content security policy: the browser blocks every request except those for the scripts of this folder."""


def write_site(classifier: Classifier, name: str, folder: Path, runtime: WebRuntime) -> list[Path]:
    """Write a static page that classifies recordings and live sound in the browser, without a server.

    Args:
        classifier: the model.
        name: the model's name, for the title.
        folder: the folder to write. It is created if it is missing; other files in it stay.
        runtime: the runtime, see `scenelet.export.web.onnxruntime_web.load_runtime`.

    Returns:
        The files that were written.

    Raises:
        ModelFileError: as `scenelet.export.limits.check_exportable`.
        OutputError: the folder cannot be written, or has files of the user that the export would replace. Its earlier
            files are then unchanged.
    """
    model = classifier.model
    graphs = {
        "mel": mel_to_onnx(model.features).SerializeToString(),
        "network": onnx_bytes(model, "log-mel", with_similarity=True),
    }
    model_address, model_script = _data_script(MODEL_FILE, graphs)
    runtime_address, runtime_script = _data_script(RUNTIME_FILE, {"script": runtime.script, "wasm": runtime.wasm})
    page = html.render(
        __name__.rpartition(".")[0],
        PAGE,
        heading=heading(name, model.labels),
        model=page_settings(classifier, name) | {"scripts": [model_address, runtime_address]},
        policy=POLICY,
        formats=FORMATS,
        extensions=EXTENSIONS,
        version=__version__,
        runtime_version=VERSION,
        license_file=LICENSE_FILE,
    )
    files = {
        MODEL_FILE: model_script,
        RUNTIME_FILE: f"/*! ONNX Runtime Web {VERSION}, (c) Microsoft Corporation, MIT license: see {LICENSE_FILE} */\n"
        + runtime_script,
        **_license_files(),
        PAGE: page,  # last, so that it is never there without the others
    }
    check_replaceable(folder, files, [RUNTIME_FILE])
    make_folder(folder)
    replace_files({folder / path: data for path, data in files.items()})
    return [folder / path for path in files]


def page_settings(classifier: Classifier, name: str) -> dict[str, Any]:
    """Return what the page's scripts know about a model. Lengths are in samples, at the model's rate.

    >>> from scenelet import load
    >>> settings = page_settings(load("esc10"), "esc10")
    >>> settings["sample_rate"], settings["window"]["length"], settings["live_hop"]
    (44100, 220500, 44100)
    """
    model = classifier.model
    features, window = model.features, model.window
    rate, length = features.sample_rate, window.samples(features.sample_rate)
    piece_seconds = max(PIECE_SECONDS, 2 * features.n_fft / rate)
    repeat = {
        "ratio": 10 ** (-window.silence_threshold_db / 20),
        "minSamples": window.min_sound_samples(rate),
    }
    return {
        "name": name,
        "labels": model.labels,
        "licenses": model.licenses,
        "thresholds": json_thresholds(classifier.thresholds),
        "min_similarity": classifier.min_similarity,
        "sample_rate": rate,
        "channels": features.channels,
        "fmax_hz": features.top_hz,
        "top_db": features.top_db,
        "stft": {
            "n_fft": features.n_fft,
            "hop_length": features.hop_length,
            "power": features.power,
            "win_length": features.win_length or features.n_fft,
            "window_function": features.window_function,
        },
        "window_seconds": window.seconds,
        "hop_seconds": window.hop_seconds or window.seconds,
        "min_seconds": MIN_SECONDS,
        "window": {
            "length": length,
            "hop": window.hop_samples(rate),
            "rest": window.rest_samples(features) if window.keep_rest else None,
            "minLast": window.min_last_fraction * length,
            "repeat": repeat if window.pad_mode == "repeat" else None,
        },
        "live_hop": round(min(DEFAULT_HOP_SECONDS, window.seconds) * rate),
        "piece": {
            "seconds": piece_seconds,
            "length": round(piece_seconds * rate),
            "edge_frames": math.ceil(features.n_fft / 2 / features.hop_length),
        },
        "limits": {"max_seconds": MAX_SECONDS, "max_body_bytes": MAX_FILE_BYTES},
    }


def _data_script(file: str, parts: dict[str, bytes]) -> tuple[str, str]:
    """Return a script that hands binary data to the page, after the address by which the page asks for it.

    The address ends in a hash of the data. So a page takes no script of another export, from the folder or from the
    browser's cache.
    """
    address = f"{file}?{hashlib.sha256(b''.join(parts.values())).hexdigest()[:16]}"
    packed = {name: base64.b64encode(gzip.compress(data, mtime=0)).decode() for name, data in parts.items()}
    return address, f"SITE_FILES[{json.dumps(address)}] = {json.dumps(packed)};\n"


def _license_files() -> dict[str, str]:
    """Return the runtime's license, and the notices of what it contains if the Python package has them."""
    files = {LICENSE_FILE: html.text(__name__.rpartition(".")[0], LICENSE_FILE)}
    spec = find_spec("onnxruntime")
    for folder in (spec and spec.submodule_search_locations) or ():
        notices = Path(folder, "ThirdPartyNotices.txt")
        if notices.exists():
            files[NOTICES_FILE] = notices.read_text(encoding="utf-8", errors="replace")
    return files
