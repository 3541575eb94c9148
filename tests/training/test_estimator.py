"""`SceneClassifier`: the command line's training from Python, and what is said of bad input."""

import csv
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

import scenelet
from scenelet import SceneClassifier
from scenelet.config.recipes import load_recipe
from scenelet.errors import AudioError, DataError, RunError, SceneletError, UsageError
from scenelet.export.model_card import model_card
from scenelet.training import run_record as runs
from scenelet.training.compression.compress import compress
from scenelet.training.train import train

Clips = tuple[list[str], list[str], list[str]]


@pytest.fixture(scope="module")
def learnt(clips: Clips, tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SceneClassifier:
    """Trained until it tells the tones apart, without groups; its run is kept."""
    longer = tiny | {"schedule.epochs": 30, "prune.epochs": 3, "mixing.combine": "none"}
    run = tmp_path_factory.mktemp("kept") / "run"
    return SceneClassifier(settings=longer, sparsity=0.5, run=run).fit(*clips[:2])


@pytest.fixture(scope="module")
def quick(clips: Clips, tiny: dict[str, Any]) -> SceneClassifier:
    return SceneClassifier(settings=tiny, random_state=3).fit(*clips)


def test_it_learns_from_every_clip_and_answers_by_class(learnt: SceneClassifier, clips: Clips) -> None:
    paths, labels, _ = clips
    assert list(learnt.classes_) == ["high", "low"]
    assert learnt.score(paths, labels) >= 0.9
    shares = learnt.predict_proba(paths)
    assert (shares.shape, shares.dtype) == ((24, 2), np.float32)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert list(learnt.predict(map(Path, paths))) == [["high", "low"][row.argmax()] for row in shares]
    provenance = learnt.classifier_.model.provenance
    assert provenance["train_clips"] == {"high": 12, "low": 12}
    assert provenance["sparsity"] == pytest.approx(0.5, abs=1e-3)
    assert learnt.classifier_.model.results == {"dense": {}, "compressed": {}}


def test_what_is_saved_gives_the_same_numbers(learnt: SceneClassifier, clips: Clips, tmp_path: Path) -> None:
    out = tmp_path / "new" / "tones.scn"
    learnt.save(out)
    again = scenelet.load(out)
    shares = learnt.predict_proba(clips[0][:3])
    for path, row in zip(clips[0], shares, strict=False):
        assert list(again.predict(path).probabilities.values()) == [float(p) for p in row]
    assert out.with_suffix(".md").read_text() == model_card(again.model, "tones", out.stat().st_size)
    with pytest.raises(UsageError, match=r"ends in \.scn"):
        learnt.save(tmp_path / "tones.onnx")


def test_a_kept_run_is_compressed_again(learnt: SceneClassifier, tmp_path: Path) -> None:
    run = Path(learnt.run)
    compress(run, tmp_path / "same.scn")
    learnt.save(tmp_path / "saved.scn")
    assert (tmp_path / "same.scn").read_bytes() == (run / "model.scn").read_bytes()
    assert (tmp_path / "saved.scn").read_bytes() == (run / "model.scn").read_bytes()
    assert compress(run, tmp_path / "less.scn", sparsity=0.0)["bytes"] > (run / "model.scn").stat().st_size
    before = (run / "clips.csv").read_bytes()
    with pytest.raises(RunError, match=f"{run}: exists already"):
        learnt.fit([__file__] * 2, ["a", "b"])
    assert (run / "clips.csv").read_bytes() == before


def test_the_command_lines_functions_give_the_same_bytes(
    quick: SceneClassifier, clips: Clips, tone_set: Path, tiny: dict[str, Any], tmp_path: Path
) -> None:
    rows = [f"{Path(path).name},{label},train,{group}\n" for path, label, group in zip(*clips, strict=True)]
    table = tmp_path / "clips.csv"
    table.write_text("filename,label,split,group\n" + "".join(rows))
    config = load_recipe("paper_short", [*(f"{key}={value}" for key, value in tiny.items()), "seed=3"])
    train(table, tmp_path / "run", config, recipe="paper_short", audio_dir=tone_set.parent)
    compress(tmp_path / "run", tmp_path / "m.scn")
    quick.save(tmp_path / "saved.scn")
    assert (tmp_path / "saved.scn").read_bytes() == (tmp_path / "m.scn").read_bytes()


def test_the_seed_decides_and_nothing_else(
    quick: SceneClassifier,
    clips: Clips,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "lightning.pytorch")
    quick.save(tmp_path / "first.scn")
    torch.manual_seed(77)
    state = torch.get_rng_state()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    backwards = [list(reversed(column)) for column in clips]
    again = SceneClassifier(settings=quick.settings, random_state=3).fit(*backwards)
    again.save(tmp_path / "again.scn")
    assert (tmp_path / "again.scn").read_bytes() == (tmp_path / "first.scn").read_bytes()
    assert torch.equal(state, torch.get_rng_state())
    assert (numbers == np.random.get_state()[1]).all()  # noqa: NPY002
    assert logging.getLogger("lightning.pytorch").level == logging.WARNING
    assert capfd.readouterr() == ("", "")
    drawn = SceneClassifier(settings=quick.settings, random_state=np.random.RandomState(0), verbose=True)
    drawn.fit(*clips[:2])
    assert drawn.classifier_.model.provenance["seed"] == np.random.RandomState(0).randint(2**31 - 1)
    assert (drawn.predict_proba(clips[0]) != quick.predict_proba(clips[0])).any()
    said = capfd.readouterr()
    assert (said.out, "epochs of 24 clips" in said.err, "flatter" in said.err) == ("", True, False)


def test_classes_that_are_numbers_keep_their_order(clips: Clips, tiny: dict[str, Any], tmp_path: Path) -> None:
    """As text, 10 comes before 9."""
    numbers = [9 if label == "low" else 10 for label in clips[1]]
    settings = tiny | {"schedule.epochs": np.int64(1), "split.validation_fraction": 0.25}
    fitted = SceneClassifier(settings=settings, dtype="int8", run=tmp_path / "run").fit(*clips[:1], numbers, clips[2])
    assert fitted.classes_.tolist() == [9, 10]
    assert fitted.classifier_.labels == ("10", "9")
    one = fitted.classifier_.predict(clips[0][0]).probabilities
    assert fitted.predict_proba(clips[0][:1]).tolist() == [[one["9"], one["10"]]]
    assert fitted.classifier_.model.provenance["dtype"] == "int8"
    rows = list(csv.DictReader((tmp_path / "run" / "split.csv").read_text().splitlines()))
    groups = {side: {row["group"] for row in rows if row["split"] == side} for side in ("train", "validation")}
    assert len(rows) == 24
    assert groups["validation"]
    assert not groups["train"] & groups["validation"]


def test_a_fitted_one_is_pickled(quick: SceneClassifier, clips: Clips) -> None:
    again = pickle.loads(pickle.dumps(quick))
    assert again.get_params() == quick.get_params()
    assert (again.predict_proba(clips[0]) == quick.predict_proba(clips[0])).all()


def test_prediction_names_the_file_that_cannot_be_read(quick: SceneClassifier, clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"absent\.wav"):
        quick.predict([clips[0][0], tmp_path / "absent.wav"])
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"text\.wav"):
        quick.score([tmp_path / "text.wav"], ["low"])
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
        (lambda x, y, g: (x, ["low"] * 24, g), UsageError, "y holds the class low alone"),
        (lambda x, y, g: (x, [*y[:-1], None], g), UsageError, "y cannot be used as labels"),
        (lambda x, y, g: (x, np.linspace(0, 1, 24), g), UsageError, "continuous"),
        (lambda x, y, g: (x[0], y, g), UsageError, "X is one path"),
        (lambda x, y, g: ([], [], None), UsageError, "X is empty|y holds no class"),
        (lambda x, y, g: (np.zeros((24, 3)), y, g), UsageError, "more than one dimension"),
        (lambda x, y, g: (np.zeros(24), y, g), UsageError, "something else than paths"),
        (lambda x, y, g: ([*x[:-1], "/no/such.wav"], y, g), AudioError, r"1 of 24 recordings .* \(/no/such.wav\)"),
        (lambda x, y, g: ([x[0], *x[:-1]], y, g), DataError, "listed more than once"),
        (lambda x, y, g: (x, [f" {one}" for one in y], g), DataError, "the label ' low' is not allowed in a table"),
    ],
)
def test_bad_input_is_one_sentence(
    changed: Callable[..., Any], error: type[SceneletError], words: str, clips: Clips, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        SceneClassifier(run=tmp_path / "run").fit(*changed(*clips))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / runs.RECORD).exists()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"recipe": "fst"}, "did you mean 'fast'"),
        ({"settings": {"epochs": 3}}, "settings: unknown setting 'epochs'; did you mean schedule.epochs"),
        ({"settings": {"schedule.epochs": 0}}, "schedule.epochs.*greater than or equal to 1"),
        ({"settings": {"seed": 1}, "random_state": 1}, "leave one out"),
        ({"sparsity": 60}, "sparsity 60: give a share"),
        ({"sparsity": 0.5, "budget": 9000}, "a sparsity or a budget, not both"),
        ({"dtype": "auto"}, "needs a budget"),
    ],
)
def test_bad_settings_are_said_before_training(
    parameters: dict[str, Any], words: str, clips: Clips, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        SceneClassifier(run=tmp_path / "run", **parameters).fit(*clips)
    assert not (tmp_path / "run").exists()
