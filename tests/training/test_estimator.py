"""`SceneClassifier`: training from Python with the results of the command line, and errors for bad input."""

import csv
import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

import scenelet
from scenelet import SceneClassifier
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import AudioError, DataError, RunError, SceneletError, UsageError
from scenelet.export.model_card import model_card
from scenelet.training import estimator
from scenelet.training.compression.compress import compress
from scenelet.training.train import train

Clips = tuple[list[str], list[str], list[str]]


@pytest.fixture(scope="module")
def accurate(clips: Clips, tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SceneClassifier:
    """Train without groups, in a run folder, until the classifier distinguishes the tones."""
    longer = tiny | {"schedule.epochs": 30, "prune.epochs": 3, "mixing.combine": "none"}
    run = tmp_path_factory.mktemp("stored") / "run"
    return SceneClassifier("paper_short", settings=longer, sparsity=0.5, run=run).fit(*clips[:2])


@pytest.fixture(scope="module")
def short(clips: Clips, tiny: dict[str, Any]) -> SceneClassifier:
    return SceneClassifier("paper_short", settings=tiny, random_state=3).fit(*clips)


def test_fit_learns_from_every_clip(accurate: SceneClassifier, clips: Clips) -> None:
    paths, labels, _ = clips
    assert list(accurate.classes_) == ["high", "low"]
    assert accurate.score(paths, labels) >= 0.9
    probabilities = accurate.predict_proba(paths)
    assert (probabilities.shape, probabilities.dtype) == ((24, 2), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert list(accurate.predict(map(Path, paths))) == [["high", "low"][row.argmax()] for row in probabilities]
    provenance = accurate.classifier_.model.provenance
    assert provenance["train_clips"] == {"high": 12, "low": 12}
    assert provenance["sparsity"] == pytest.approx(0.5, abs=1e-3)
    assert accurate.classifier_.model.results == {"dense": {}, "compressed": {}}


def test_save_writes_a_model_with_the_same_predictions(accurate: SceneClassifier, clips: Clips, tmp_path: Path) -> None:
    out = tmp_path / "new" / "tones.scn"
    accurate.save(out)
    loaded = scenelet.load(out)
    probabilities = accurate.predict_proba(clips[0][:3])
    for path, row in zip(clips[0], probabilities, strict=False):
        assert list(loaded.predict(path).probabilities.values()) == [float(p) for p in row]
    assert out.with_suffix(".md").read_text() == model_card(loaded.model, "tones", out.stat().st_size)
    with pytest.raises(UsageError, match=r"ends in \.scn"):
        accurate.save(tmp_path / "tones.onnx")


def test_run_folder_is_compressed_again(accurate: SceneClassifier, tmp_path: Path) -> None:
    run = Path(accurate.run)
    compress(run, tmp_path / "same.scn")
    accurate.save(tmp_path / "saved.scn")
    assert (tmp_path / "same.scn").read_bytes() == (run / "model.scn").read_bytes()
    assert (tmp_path / "saved.scn").read_bytes() == (run / "model.scn").read_bytes()
    assert compress(run, tmp_path / "less.scn", sparsity=0.0)["bytes"] > (run / "model.scn").stat().st_size
    before = (run / "clips.csv").read_bytes()
    with pytest.raises(RunError, match=f"{run}: exists already"):
        accurate.fit([__file__] * 2, ["a", "b"])
    assert (run / "clips.csv").read_bytes() == before


def test_train_and_compress_give_the_same_bytes(
    short: SceneClassifier, clips: Clips, tone_set: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    rows = [f"{Path(path).name},{label},train,{group}\n" for path, label, group in zip(*clips, strict=True)]
    table = tmp_path / "clips.csv"
    table.write_text("filename,label,split,group\n" + "".join(rows))
    config = load_recipe("paper_short", [*(f"{key}={value}" for key, value in tiny.items()), "seed=3"])
    train(load_table(table, tone_set.parent), tmp_path / "run", config, recipe="paper_short")
    compress(tmp_path / "run", tmp_path / "m.scn")
    short.save(tmp_path / "saved.scn")
    assert (tmp_path / "saved.scn").read_bytes() == (tmp_path / "m.scn").read_bytes()


def test_fit_depends_only_on_the_seed(
    short: SceneClassifier,
    clips: Clips,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "lightning.pytorch")
    short.save(tmp_path / "first.scn")
    torch.manual_seed(77)
    state = torch.get_rng_state()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    backwards = [list(reversed(column)) for column in clips]
    again = SceneClassifier("paper_short", settings=short.settings, random_state=3).fit(*backwards)
    again.save(tmp_path / "again.scn")
    assert (tmp_path / "again.scn").read_bytes() == (tmp_path / "first.scn").read_bytes()
    assert torch.equal(state, torch.get_rng_state())
    assert (numbers == np.random.get_state()[1]).all()  # noqa: NPY002
    assert logging.getLogger("lightning.pytorch").level == logging.WARNING
    assert capfd.readouterr() == ("", "")
    from_state = SceneClassifier(
        "paper_short", settings=short.settings, random_state=np.random.RandomState(0), verbose=True
    )
    from_state.fit(*clips[:2])
    assert from_state.classifier_.model.provenance["seed"] == np.random.RandomState(0).randint(2**31 - 1)
    assert (from_state.predict_proba(clips[0]) != short.predict_proba(clips[0])).any()
    printed = capfd.readouterr()
    assert (printed.out, "epochs of 24 clips" in printed.err, "flatter" in printed.err) == ("", True, False)


def test_fit_keeps_the_order_of_numeric_classes(clips: Clips, tiny: dict[str, Any], tmp_path: Path) -> None:
    numbers = [9 if label == "low" else 10 for label in clips[1]]
    settings = tiny | {"schedule.epochs": np.int64(1), "split.validation_fraction": 0.25}
    fitted = SceneClassifier("paper_short", settings=settings, dtype="int8", run=tmp_path / "run").fit(
        *clips[:1], numbers, clips[2]
    )
    assert fitted.classes_.tolist() == [9, 10]
    assert fitted.classifier_.labels == ("10", "9")  # sorted as text
    expected = fitted.classifier_.predict(clips[0][0]).probabilities
    assert fitted.predict_proba(clips[0][:1]).tolist() == [[expected["9"], expected["10"]]]
    assert fitted.classifier_.model.provenance["dtype"] == "int8"
    rows = list(csv.DictReader((tmp_path / "run" / "split.csv").read_text().splitlines()))
    groups = {split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "validation")}
    assert len(rows) == 24
    assert groups["validation"]
    assert not groups["train"] & groups["validation"]


def test_fitted_classifier_can_be_pickled(short: SceneClassifier, clips: Clips) -> None:
    again = pickle.loads(pickle.dumps(short))
    assert again.get_params() == short.get_params()
    assert (again.predict_proba(clips[0]) == short.predict_proba(clips[0])).all()


def test_predict_names_the_file_that_cannot_be_read(short: SceneClassifier, clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"absent\.wav"):
        short.predict([clips[0][0], tmp_path / "absent.wav"])
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav"):
        short.score([tmp_path / "text.wav"], ["low"])
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(SceneClassifier(), method)(clips[0])
    with pytest.raises(NotFittedError):
        SceneClassifier().save(tmp_path / "m.scn")


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        (lambda x, y, g: (x[:3], y, g), UsageError, "X has 3 recordings and y 24 labels"),
        (lambda x, y, g: (x, y, g[:3]), UsageError, "X has 24 recordings and groups 3"),
        (lambda x, y, g: (x, ["low"] * 24, g), UsageError, "y holds only the class low"),
        (lambda x, y, g: (x, [*y[:-1], None], g), UsageError, "y cannot be used as labels"),
        (
            lambda x, y, g: (x, [*y[:-1], np.nan], g),
            UsageError,
            "None or nan would form a class; give a label",
        ),
        (lambda x, y, g: (x, np.array([*y[:-1], np.nan], object), g), UsageError, "y cannot be used as labels"),
        (lambda x, y, g: (x, np.linspace(0, 1, 24), g), UsageError, "continuous"),
        (lambda x, y, g: (x[0], y, g), UsageError, "X is one path"),
        (lambda x, y, g: ([], [], None), UsageError, "X is empty|y holds no class"),
        (lambda x, y, g: (np.zeros((24, 3)), y, g), UsageError, "more than one dimension"),
        (lambda x, y, g: (np.zeros(24), y, g), UsageError, "something other than paths"),
        (lambda x, y, g: ([*x[:-1], "/no/such.wav"], y, g), AudioError, r"1 of 24 recordings .* \(/no/such.wav\)"),
        (lambda x, y, g: ([x[0], *x[:-1]], y, g), DataError, "listed more than once"),
        (lambda x, y, g: (x, [f" {one}" for one in y], g), DataError, "the label ' low' is not allowed in a table"),
    ],
)
def test_fit_with_bad_input_raises_one_line(
    changed: Callable[..., Any], error: type[SceneletError], words: str, clips: Clips, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        SceneClassifier(run=tmp_path / "run").fit(*changed(*clips))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / runs.RECORD).exists()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"recipe": "defalt"}, "did you mean 'default'"),
        ({"settings": {"epochs": 3}}, "settings: unknown setting 'epochs'; did you mean schedule.epochs"),
        ({"settings": {"schedule.epochs": 0}}, "schedule.epochs.*it must be at least 1"),
        ({"settings": {"seed": 1}, "random_state": 1}, "leave one out"),
        ({"sparsity": 60}, "sparsity 60: give a fraction"),
        ({"sparsity": 0.5, "max_bytes": 9000}, "a sparsity or max_bytes, not both"),
        ({"dtype": "auto"}, "needs max_bytes"),
    ],
)
def test_fit_with_bad_settings_raises_before_training(
    parameters: dict[str, Any], words: str, clips: Clips, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        SceneClassifier(run=tmp_path / "run", **parameters).fit(*clips)
    assert not (tmp_path / "run").exists()


def test_threads_fit_one_after_the_other(clips: Clips, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def meet(*_: object, **__: object) -> None:
        both.wait(timeout=0.5)

    monkeypatch.setattr(estimator, "train", meet)
    with ThreadPoolExecutor(2) as threads:
        fits = [threads.submit(SceneClassifier("paper_short", settings=tiny).fit, *clips) for _ in range(2)]
        assert [type(fit.exception()) for fit in fits] == 2 * [threading.BrokenBarrierError]
