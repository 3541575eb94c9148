"""The page in a browser: its answers are those of `predict`, faults are sentences, and no request goes elsewhere."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect

from helpers.browser import EXAMPLE, FIRST_WINDOW_MS, check_live, drop, is_drawn, opened, scrolls_sideways
from helpers.loopback_server import serve_folder
from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.export.web.onnxruntime_web import WebRuntime
from scenelet.export.web.site import write_site
from scenelet.inference.classifier import Classifier, load
from scenelet.model.known_sounds import KnownSounds

CLASSIFY = """async () => {
  const [file] = byId("tested").files;
  const result = await PREDICTOR.predict(file);
  delete result.spectrogram;
  return result;
}"""


@pytest.fixture(scope="module")
def site(runtime: WebRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the built-in model."""
    folder = tmp_path_factory.mktemp("site")
    write_site(load("esc10"), "esc10", folder, runtime)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Address of a plain web host with the page."""
    with serve_folder(site) as url:
        yield url


def classify(page: Page, path: Path) -> dict[str, Any]:
    """Return the page's result for a recording, without adding it to the history."""
    if not page.locator("#tested").count():
        page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<input type=file id=tested>')")
    page.set_input_files("#tested", path)
    result: dict[str, Any] = page.evaluate(CLASSIFY)
    return result


def assert_equal(classifier: Classifier, path: Path, result: dict[str, Any], atol: float = 1e-4) -> None:
    """Compare a result of the page with the prediction for the recording."""
    expected = classifier.predict(path)
    assert (result["label"], result["unsure"]) == (expected.label, expected.unsure), path
    assert result["windows"] == len(expected.windows)
    np.testing.assert_allclose(result["window_probabilities"], expected.windows, atol=atol)
    assert list(result["probabilities"]) == list(expected.probabilities)
    np.testing.assert_allclose(list(result["probabilities"].values()), list(expected.probabilities.values()), atol=atol)


@pytest.mark.parametrize("place", ["web host", "disk"])
def test_dropped_file_shows_label(browser: Browser, site: Path, address: str, place: str) -> None:
    with opened(browser, address if place == "web host" else (site / "index.html").as_uri()) as page:
        drop(page, EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile(r"^dog 100\.0 %$"))
        assert is_drawn(page, "#history canvas")
        expect(page.locator("footer")).to_contain_text("CC-BY 3.0")
        assert page.request.get(address).headers.get("cross-origin-opener-policy") is None


@pytest.mark.parametrize(
    ("layout", "window"),
    [
        ("stereo", {}),
        ("mid-side", {"hop_seconds": 0.07, "pad_mode": "repeat"}),
        ("stereo", {"keep_rest": True}),
        ("stereo", {"min_last_fraction": 0.9, "pad_mode": "repeat", "min_sound_seconds": 0.05}),
    ],
    ids=["plain", "overlap", "rest", "long rest"],
)
def test_answers_equal_predictions(
    browser: Browser, runtime: WebRuntime, rng: np.random.Generator, tmp_path: Path, layout: str, window: dict[str, Any]
) -> None:
    model = tiny_model()
    features = model.features.model_copy(update={"channels": layout})
    thresholds = {"indoor": None, "outdoor": None, "transportation": 0.4}
    stored = {"probabilities": thresholds, "false_alarms_per_hour": 1, "hours": 2}
    rule, results = model.window.model_copy(update=window), {"label_thresholds": stored}
    classifier = Classifier(changed(model, features=features, window=rule, results=results))
    write_site(classifier, "tiny", tmp_path / "site", runtime)
    sounds = {
        "mono": rng.normal(0, 0.1, (1, 3700)),
        "stereo": rng.normal(0, 0.1, (2, 3340)),
        "ends": np.pad(rng.normal(0, 0.1, (2, 1700)), ((0, 0), (200, 900))),
        "middle": np.concatenate([rng.normal(0, 0.1, (2, 1600)), np.zeros((2, 1700)), rng.normal(0, 0.1, (2, 800))], 1),
        "silence": np.zeros((1, 4000)),
        "short": rng.normal(0, 0.1, (1, 790)),
    }
    with serve_folder(tmp_path / "site") as url, opened(browser, url) as page:
        for name, sound in sounds.items():
            path = tmp_path / f"{name}.wav"
            soundfile.write(path, sound.T, 8000, subtype="FLOAT")
            assert_equal(classifier, path, classify(page, path))


def test_answers_with_known_sounds_equal_predictions(
    browser: Browser, runtime: WebRuntime, rng: np.random.Generator, tmp_path: Path
) -> None:
    model = with_known_sounds(changed(tiny_model(), results={"threshold": {"probability": 0}}))
    sounds = [np.pad(rng.normal(0, level, (2, 3700)), ((0, 0), (0, 1900))) for level in (1e-3, 1e-2, 0.1, 0.3)]
    paths = [tmp_path / f"{index}.wav" for index in range(len(sounds))]
    for path, sound in zip(paths, sounds, strict=True):
        soundfile.write(path, sound.T, 8000, subtype="FLOAT")
    reached = sorted(prediction.similarity for prediction in Classifier(model).predict_many(paths))
    assert reached[2] - reached[1] > 1e-3
    known = KnownSounds(model.known.means, (reached[1] + reached[2]) / 2)
    classifier = Classifier(changed(model, known=known))
    assert sorted(classifier.predict(path).unsure for path in paths) == [False, False, True, True]
    write_site(classifier, "tiny", tmp_path / "site", runtime)
    with serve_folder(tmp_path / "site") as url, opened(browser, url) as page:
        for path in paths:
            assert_equal(classifier, path, classify(page, path))


@pytest.mark.parametrize("rate", [22050, 48000])
def test_other_rates_are_resampled(browser: Browser, address: str, tmp_path: Path, rate: int) -> None:
    """The recording has nothing near half the lower rate, where the filters of soxr and of the page differ."""
    t = np.arange(5 * rate) / rate
    sound = 0.2 * np.sin(2 * np.pi * (300 + 300 * t) * t) + 0.1 * np.sin(2 * np.pi * 2500 * t) * (t % 0.5 < 0.1)
    path = tmp_path / "sweep.wav"
    soundfile.write(path, sound, rate, subtype="FLOAT")
    with opened(browser, address) as page:
        assert_equal(load("esc10"), path, classify(page, path), atol=2e-3)


@pytest.mark.slow
def test_real_recordings_equal_predictions(browser: Browser, address: str, esc10: Path) -> None:
    classifier = load("esc10")
    clips = sorted(esc10.glob("audio/1-*.ogg"))
    assert len(clips) == 80
    with opened(browser, address) as page:
        for path in clips:
            assert_equal(classifier, path, classify(page, path), atol=1e-5)


@pytest.mark.slow
def test_listen_live_moves_bars(microphone_browser: Browser, address: str) -> None:
    with opened(microphone_browser, address) as page:
        check_live(page)


@pytest.mark.slow
def test_record_from_disk_page_with_keyboard(microphone_browser: Browser, site: Path) -> None:
    """Browsers restrict what a page from a disk may load. Its microphone works nevertheless."""
    with opened(microphone_browser, (site / "index.html").as_uri()) as page:
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Choose recordings")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.locator(":focus")).to_have_text("Stop and classify")
        expect(page.locator("#now-time")).to_have_text(re.compile(r"^[1-9]\.\d s$"), timeout=FIRST_WINDOW_MS)
        page.keyboard.press("Space")
        expect(page.locator("#history .answer:not(.soft)")).to_have_count(1)
        expect(page.locator("#history canvas")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_phone(browser: Browser, address: str, scheme: str) -> None:
    with opened(browser, address, 390, 844, color_scheme=scheme, has_touch=True, is_mobile=True) as page:
        page.set_input_files("#files", EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile("^dog"))
        assert not scrolls_sideways(page)


# ---- faults


def test_foreign_and_empty_files(browser: Browser, address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("no sound")
    (tmp_path / "empty.mp3").touch()
    soundfile.write(tmp_path / "cut.wav", np.full(44100, 0.1), 44100)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:40000])
    with opened(browser, address) as page:
        page.set_input_files("#files", [tmp_path / n for n in ("notes.wav", "empty.mp3", "cut.wav")] + [EXAMPLE])
        answers = page.locator("#history .answer")
        expect(answers.filter(has_text="notes.wav: not a recording that this browser can read; convert")).to_have_count(
            1
        )
        expect(answers.filter(has_text="empty.mp3: the file is empty; copy or record it again")).to_have_count(1)
        expect(answers.filter(has_text="cut.wav: the file is truncated, copy it again")).to_have_count(1)
        expect(answers.filter(has_text=re.compile("^dog"))).to_have_count(1)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "samples that are not finite numbers"), (3e7, "samples up to 3.0e+7 times full scale")],
)
def test_invalid_samples(browser: Browser, address: str, tmp_path: Path, value: float, message: str) -> None:
    sound = np.full(44100, 0.1)
    sound[5000] = value
    soundfile.write(tmp_path / "invalid.wav", sound, 44100, subtype="FLOAT")
    with opened(browser, address) as page:
        page.set_input_files("#files", tmp_path / "invalid.wav")
        text = f"invalid.wav: holds {message}; export it again"
        expect(page.locator("#history .answer.bad")).to_have_text(text)


def test_recording_above_limit(browser: Browser, address: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 601), 8000)
    with opened(browser, address) as page:
        page.set_input_files("#files", tmp_path / "long.wav")
        expect(page.locator("#history .answer.bad")).to_contain_text(
            "is longer than 600 s, the limit of this page; cut"
        )


def test_refused_microphone(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        page.evaluate(
            """() => {
              navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
            }"""
        )
        page.get_by_role("button", name="Listen live").click()
        expect(page.get_by_role("alert")).to_have_text(re.compile("^Access to the microphone was denied: allow it"))


@pytest.mark.parametrize("name", ["WebAssembly", "DecompressionStream", "Worker"])
def test_old_browser(browser: Browser, address: str, name: str) -> None:
    context = browser.new_context()
    context.add_init_script(f"delete window.{name}")
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_role("alert")).to_have_text(
        re.compile("^This browser cannot run the model, because it lacks .*; up")
    )
    page.set_input_files("#files", EXAMPLE)
    expect(page.locator("#history .answer.bad")).to_contain_text("this browser cannot run the model")
    context.close()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.js", None, "The file model.js is missing; copy the complete folder of this page."),
        ("onnxruntime-web.js", None, "The file onnxruntime-web.js is missing; copy"),
        (
            "model.js",
            "SITE_FILES['model.js'] = {'mel",
            "The file model.js is damaged or of another export; reload this page, or copy",
        ),
        ("model.js", "SITE_FILES[MODEL.scripts[0]] = {mel: '?', network: ''};", "The model cannot be loaded ("),
    ],
    ids=["no model", "no runtime", "truncated", "no data"],
)
def test_incomplete_folder(
    browser: Browser, site: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_text(content)
    context = browser.new_context()
    page = context.new_page()
    page.goto((copy / "index.html").as_uri())
    expect(page.get_by_role("alert")).to_contain_text(message)
    context.close()


def test_model_of_another_export(browser: Browser, site: Path, runtime: WebRuntime, tmp_path: Path) -> None:
    write_site(Classifier(tiny_model()), "tiny", tmp_path, runtime)
    shutil.copy(site / "model.js", tmp_path)
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    expect(page.get_by_role("alert")).to_contain_text(
        "The file model.js is damaged or of another export; reload this page, or copy"
    )
    context.close()


def test_listen_without_model_twice(microphone_browser: Browser, site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    (copy / "model.js").unlink()
    context = microphone_browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((copy / "index.html").as_uri())
    for _ in range(2):
        page.evaluate("() => showError('')")
        page.get_by_role("button", name="Listen live").click()
        expect(page.get_by_role("alert")).to_have_text(
            "The file model.js is missing; copy the complete folder of this page."
        )
        expect(page.get_by_role("button", name="Listen live")).to_be_enabled()
    assert page.evaluate("session") is None
    assert faults == []
    context.close()


def test_live_silence_and_long_labels(microphone_browser: Browser, runtime: WebRuntime, tmp_path: Path) -> None:
    model = changed(tiny_model(), labels=("a" * 200, "b", "c"))
    write_site(Classifier(model), "tiny", tmp_path, runtime)
    with opened(microphone_browser, (tmp_path / "index.html").as_uri(), 320, 700) as page:
        assert not scrolls_sideways(page)
        page.evaluate(
            "() => showPrediction({ seconds: 1, smoothed: [0, 0, 0], label: 'silence', confidence: 0, changed: true })"
        )
        expect(page.locator("#history .answer")).to_have_text("silence")


def test_policy_blocks_requests(browser: Browser, address: str) -> None:
    """The page cannot send anything, even to its own host."""
    page = browser.new_page()
    page.goto(address)
    for url in ("https://example.org/", address):
        refused = "(url) => fetch(url, { method: 'POST', body: 'x' }).then(() => false, () => true)"
        assert page.evaluate(refused, url)
    page.close()
