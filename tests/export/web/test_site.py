"""The folder of a page: its files, its policy, and that it is complete or absent. No browser is needed."""

import base64
import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.errors import OutputError
from scenelet.export.web.onnxruntime_web import WebRuntime
from scenelet.export.web.site import page_settings, write_site
from scenelet.inference.classifier import Classifier

RUNTIME = WebRuntime(b"script", b"wasm")


def parts(path: Path) -> dict[str, bytes]:
    """Return the data that a script of the page holds."""
    packed = re.search(r"= (\{.*\});", path.read_text())
    assert packed is not None
    return {name: gzip.decompress(base64.b64decode(text)) for name, text in json.loads(packed[1]).items()}


def test_site_holds_runtime_and_model(tmp_path: Path) -> None:
    model = tiny_model()
    classifier = Classifier(model)
    files = write_site(classifier, "tiny", tmp_path / "site", RUNTIME)
    assert sorted(tmp_path.joinpath("site").iterdir()) == sorted(files)
    assert parts(tmp_path / "site" / "onnxruntime-web.js") == {"script": b"script", "wasm": b"wasm"}
    assert "MIT License" in (tmp_path / "site" / "onnxruntime-web.LICENSE.txt").read_text()

    graphs = {name: onnxruntime.InferenceSession(data) for name, data in parts(tmp_path / "site" / "model.js").items()}
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 1600)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, ((0, 0), (128, 128)), "reflect"), 256, axis=1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    power = np.abs(np.fft.rfft(frames[:, ::128] * hann)) ** 2
    (log_mel,) = graphs["mel"].run(None, {"power": power.astype(np.float32)})
    np.testing.assert_allclose(log_mel[0], LogMel(model.features)(samples), atol=1e-3)
    (rows,) = graphs["network"].run(None, {"log_mel": log_mel})
    np.testing.assert_allclose(rows, classifier.probabilities(log_mel), atol=1e-5)


def test_site_is_deterministic(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_site(Classifier(tiny_model()), "tiny", tmp_path / name, RUNTIME)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_site_replaces_no_page_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(OutputError, match=r"has files that the export would replace \(index\.html\); give another"):
        write_site(Classifier(tiny_model()), "tiny", tmp_path, RUNTIME)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_page_names_model_and_forbids_requests(tmp_path: Path) -> None:
    model = changed(tiny_model(), labels=("</script>", "a & b", "c"), licenses=["CC0-1.0 <x>"])
    write_site(Classifier(model), "<tiny>", tmp_path, RUNTIME)
    page = (tmp_path / "index.html").read_text()
    assert "<title>&lt;tiny&gt;: &lt;/script&gt;, a &amp; b, c · scenelet</title>" in page
    assert "Model &lt;tiny&gt;: CC0-1.0 &lt;x&gt;." in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "connect-src" not in policy[1]
    assert "http" not in policy[1]
    for kind in ("application/json", "text/plain"):  # a closing tag in a data block would end it
        for block in re.findall(rf'<script type="{kind}"[^>]*>(.*?)</script>', page, re.DOTALL):
            assert block.strip()[-1] in "};"


def test_write_site_replaces_earlier_site(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_site(Classifier(tiny_model()), "old", tmp_path, RUNTIME)
    write_site(Classifier(tiny_model()), "new", tmp_path, WebRuntime(b"other", b"wasm"))
    assert parts(tmp_path / "onnxruntime-web.js")["script"] == b"other"
    assert "<title>new:" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_write_site_writes_nothing_if_a_file_is_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "model.js").mkdir()
    with pytest.raises(OutputError, match=r"model.js: is a folder"):
        write_site(Classifier(tiny_model()), "tiny", tmp_path, RUNTIME)
    assert os.listdir(tmp_path) == ["model.js"]


def test_page_knows_the_threshold_of_each_label(tmp_path: Path) -> None:
    stored = {"probabilities": {"indoor": 0.9, "transportation": None}, "false_alarms_per_hour": 1, "hours": 2}
    classifier = Classifier(changed(tiny_model(), results={"label_thresholds": stored}))
    write_site(classifier, "tiny", tmp_path, RUNTIME)
    page = (tmp_path / "index.html").read_text()
    settings = re.search(r'<script type="application/json" id="model"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert settings is not None
    assert json.loads(settings[1])["thresholds"] == [0.9, 0.5, None]


def test_settings_follow_window_rule() -> None:
    model = tiny_model()
    window = model.window.model_copy(
        update={"hop_seconds": 0.05, "keep_rest": True, "pad_mode": "repeat", "silence_threshold_db": 40.0}
    )
    settings = page_settings(Classifier(changed(model, window=window)), "tiny")
    repeat = {"ratio": pytest.approx(0.01), "minSamples": 4000}
    assert settings["window"] == {"length": 1600, "hop": 400, "rest": 63, "minLast": 80.0, "repeat": repeat}
    assert settings["live_hop"] == 1600  # no longer than a window
