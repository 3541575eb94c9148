"""Compare a model's page, as `scenelet export --to web` writes it, with the model file: answers, log-mel, and time.

    python -m benchmarks.speed.web MODEL RECORDINGS... [--onnxruntime-web FILE]

Chromium without a window decodes and classifies each recording on the page. The Markdown table shows the labels that
equal those of `Classifier.predict`, the largest differences of probabilities and of log-mel, the milliseconds per
window on one thread of each (from the window's samples to its probabilities), and the bytes that the page loads.
"""

import argparse
import base64
import gzip
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from helpers.browser import ARGUMENTS, executable
from helpers.loopback_server import serve_folder
from scenelet.audio.log_mel import LogMel
from scenelet.export.web.onnxruntime_web import load_runtime
from scenelet.export.web.site import write_site
from scenelet.inference.classifier import Classifier, load

WARM_UP = 3  # windows that are not timed
PROBE = """
const serve = onmessage;
onmessage = async (event) => {
  const { type, id, channels, sampleRate } = event.data;
  if (type !== "probe") return serve(event);
  const samples = resampleAll(arrangeChannels(channels, model.channels), sampleRate);
  const windows = [];
  for (const window of cutAll(samples, model.window, Math.ceil(channels[0].length / sampleRate * model.sample_rate))) {
    const start = performance.now();
    const row = await classify(window);
    const milliseconds = performance.now() - start;
    windows.push({ row, milliseconds, samples: window, logMel: (await logMel(window)).data });
  }
  postMessage({ type: "result", id, result: windows });
};
"""
"""Appended to the page's worker."""
OPEN = """async (probe) => {
  const input = document.createElement("input");
  [input.type, input.id] = ["file", "probed"];
  document.body.append(input);
  byId("worker").textContent += probe;
  for (const name of ["model.js", "onnxruntime-web.js"]) delete SITE_FILES[name];
  window.probing = openWorker();
  await window.probing;
}"""
CLASSIFY = """async () => {
  const [file] = byId("probed").files;
  const sound = await decode(file);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
  const worker = await window.probing;
  const message = { type: "probe", id: "probe", channels, sampleRate: sound.sampleRate };
  const { result } = await new Promise((resolve) => {
    receivers.set("probe", resolve);
    worker.postMessage(message);
  });
  const encode = (values) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  };
  const answer = await PREDICTOR.predict(file);
  delete answer.spectrogram;
  const windows = result.map((one) => ({ ...one, samples: one.samples.map(encode), logMel: encode(one.logMel) }));
  return { answer, windows };
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--onnxruntime-web", type=Path)
    options = parser.parse_args()
    classifier = load(options.model, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        files = write_site(classifier, Path(options.model).stem, Path(folder), load_runtime(options.onnxruntime_web))
        loaded = [path.read_bytes() for path in files if path.suffix != ".txt"]
        rows = list(compare(classifier, Path(folder), options.recordings))
    equal = sum(row["equal"] for row in rows)
    print(f"| | {Path(options.model).stem}, {len(rows)} recordings |\n|---|---|")
    print(f"| equal labels | {equal} |")
    for name, what in (
        ("probability", "largest difference of a probability"),
        ("log_mel", "largest difference of log-mel from `LogMel`, same samples, dB"),
        ("decoded_log_mel", "largest difference of log-mel from our decoder's, dB"),
    ):
        print(f"| {what} | {max(row[name] for row in rows):.2g} |")
    for name in ("browser", "scenelet"):
        times = [milliseconds for row in rows for milliseconds in row[name]][WARM_UP:]
        print(f"| {name}, ms per window (median) | {statistics.median(times):.1f} |")
    print(f"| bytes | {sum(map(len, loaded)):,}; gzip {sum(len(gzip.compress(data)) for data in loaded):,} |")


def compare(classifier: Classifier, site: Path, recordings: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield a row of differences and times per recording."""
    log_mel = LogMel(classifier.model.features)
    with sync_playwright() as playwright, serve_folder(site) as address:
        page = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS).new_page()
        page.goto(address)
        page.evaluate(OPEN, PROBE)
        for recording in recordings:
            page.set_input_files("#probed", recording)
            found = page.evaluate(CLASSIFY)
            expected = classifier.predict(recording)
            ours = list(classifier.log_mel_windows(recording))
            row: dict[str, Any] = {"browser": [], "scenelet": [], "log_mel": 0.0, "decoded_log_mel": 0.0}
            row["equal"] = found["answer"]["label"] == expected.label
            probabilities = [found["answer"]["probabilities"][label] for label in classifier.labels]
            row["probability"] = difference(probabilities, list(expected.probabilities.values()))
            for window, features in zip(found["windows"], ours, strict=True):
                samples = np.stack([decode(channel) for channel in window["samples"]])
                theirs = decode(window["logMel"]).reshape(features.shape)
                row["log_mel"] = max(row["log_mel"], difference(theirs, log_mel(samples)))
                row["decoded_log_mel"] = max(row["decoded_log_mel"], difference(theirs, features))
                row["browser"].append(window["milliseconds"])
                start = time.perf_counter()
                classifier.predict_window(samples)
                row["scenelet"].append(1000 * (time.perf_counter() - start))
            yield row


def difference(first: Any, second: Any) -> float:
    """Return the largest difference of two arrays."""
    return float(np.abs(np.asarray(first, np.float64) - np.asarray(second, np.float64)).max())


def decode(text: str) -> np.ndarray:
    """Decode Base64 of float32."""
    return np.frombuffer(base64.b64decode(text), "<f4")


if __name__ == "__main__":
    main()
