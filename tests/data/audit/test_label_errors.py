"""Label errors: the classifier next to scikit-learn, groups held out, wrong labels found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scenelet.data.audit import label_errors
from scenelet.data.audit.label_errors import (
    MIN_SCORE,
    N_FOLDS,
    PENALTY,
    assign_folds,
    find_label_issues,
    fit_logistic,
    held_out_probabilities,
    rare_classes,
)
from scenelet.data.audit.texture import LENGTH
from scenelet.data.clips import Clip


def _clips(classes: int = 3, groups: int = 8, clips_per_group: int = 2) -> list[Clip]:
    return [
        Clip(Path(), f"{label}{group}{i}", f"class {label}", f"{label} {group}")
        for label in range(classes)
        for group in range(groups)
        for i in range(clips_per_group)
    ]


@pytest.fixture
def textures(rng: np.random.Generator) -> list[np.ndarray]:
    """Textures of `_clips()`. Each class has ten statistics in which it differs from the others."""
    textures = []
    for clip in _clips():
        values = rng.standard_normal(LENGTH)
        start = 10 * int(clip.label[-1])
        values[start : start + 10] += 4.0
        textures.append(values.astype(np.float32))
    return textures


def test_fit_logistic_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    x, targets = rng.standard_normal((60, 5)), np.repeat([0, 1, 2], [10, 20, 30])
    x[:, 0] += targets
    ours = fit_logistic(x, targets, 3, steps=2000)
    theirs = LogisticRegression(C=1 / PENALTY, class_weight="balanced", tol=1e-10, max_iter=5000)
    theirs.fit(x, targets)
    np.testing.assert_allclose(ours[:-1], theirs.coef_.T, atol=2e-3)
    offsets = ours[-1] - ours[-1].mean()
    np.testing.assert_allclose(offsets, theirs.intercept_ - theirs.intercept_.mean(), atol=2e-3)


def test_fit_logistic_small_products_give_equal_weights(rng: np.random.Generator) -> None:
    x, targets = rng.standard_normal((50, 4)), rng.integers(0, 2, 50)
    expected = fit_logistic(x, targets, 2)
    np.testing.assert_allclose(fit_logistic(x, targets, 2, max_product_terms=70), expected, atol=1e-4)


def test_find_label_issues_wrong_labels_come_first(textures: list[np.ndarray]) -> None:
    clips = _clips()
    wrong = {5: "class 2", 20: "class 0", 40: "class 1"}
    for index, label in wrong.items():
        clips[index] = replace(clips[index], label=label)
    found = find_label_issues(clips, textures)
    assert not isinstance(found, str)
    assert {issue.clip.name for issue in found[:3]} == {clips[index].name for index in wrong}
    assert {issue.sounds_like for issue in found[:3]} == {"class 0", "class 1", "class 2"}
    assert found == sorted(found, key=lambda issue: -issue.score)
    assert found[2].score > MIN_SCORE
    assert find_label_issues(_clips(), textures) == []
    assert find_label_issues(clips, textures) == found


def test_find_label_issues_wrong_label_of_a_group_is_found(textures: list[np.ndarray]) -> None:
    """A clip is predicted without its group, so equal clips with one wrong label do not confirm each other."""
    clips, copied = _clips(), list(textures)
    for index in (0, 1):
        clips[index] = replace(clips[index], label="class 1")
    copied[1] = copied[0]
    found = find_label_issues(clips, copied)
    assert not isinstance(found, str)
    assert {issue.clip.name for issue in found[:2]} == {clips[0].name, clips[1].name}


@pytest.mark.parametrize("folds", ["none", "by group", "one group divided", "each group divided"])
def test_assign_folds_divides_no_group_and_spreads_classes(folds: str) -> None:
    clips = _clips()
    if folds != "none":
        clips = [replace(clip, fold=str(int(clip.group[-1]) % 4)) for clip in clips]
    if folds == "one group divided":
        clips[1] = replace(clips[1], fold="3")
    if folds == "each group divided":  # the first clip of each is in fold 0
        seen: set[str] = set()
        for index, clip in enumerate(clips):
            clips[index] = replace(clip, fold=str(index % 3) if clip.group in seen else "0")
            seen.add(clip.group)
    assigned = assign_folds(clips)
    for group in {clip.group for clip in clips}:
        assert len({fold for clip, fold in zip(clips, assigned, strict=True) if clip.group == group}) == 1
    for label in {clip.label for clip in clips}:
        counts = np.bincount([fold for clip, fold in zip(clips, assigned, strict=True) if clip.label == label])
        assert len(counts) == (4 if folds == "by group" else N_FOLDS)
        assert counts.min() >= 2


@pytest.mark.parametrize(("groups", "clips_per_group"), [(3, 4), (7, 1), (1, 20)])
def test_find_label_issues_rare_classes_give_a_reason(groups: int, clips_per_group: int) -> None:
    clips = _clips(groups=groups, clips_per_group=clips_per_group)
    reason = find_label_issues(clips, [np.zeros(LENGTH, np.float32)] * len(clips))
    assert isinstance(reason, str)
    assert "fewer than two classes have at least 8 clips, of 4 groups" in reason
    assert rare_classes(clips)["class 0"].startswith(f"{groups * clips_per_group} clips of {groups} group")


def test_find_label_issues_rare_class_is_left_out(textures: list[np.ndarray]) -> None:
    clips = _clips()
    clips[4] = replace(clips[4], label="class 1")
    rare = [replace(clip, name=f"rare {clip.name}", label="rare") for clip in clips[:2]]
    assert rare_classes([*clips, *rare]) == {"rare": "2 clips of 1 group"}
    assert find_label_issues([*clips, *rare], [*textures, *textures[:2]]) == find_label_issues(clips, textures) != []


def test_find_label_issues_noise_gives_a_reason(rng: np.random.Generator) -> None:
    noise = [rng.standard_normal(LENGTH).astype(np.float32) for _ in _clips()]
    reason = find_label_issues(_clips(), noise)
    assert isinstance(reason, str)
    assert "confuses the classes too often" in reason


def test_find_label_issues_score_is_a_fraction_of_both_probabilities(textures: list[np.ndarray]) -> None:
    clips = _clips()
    clips[5] = replace(clips[5], label="class 2")
    targets = np.array([int(clip.label[-1]) for clip in clips])
    label, wrong = held_out_probabilities(np.stack(textures), targets, assign_folds(clips))[5][[0, 2]]
    issue = find_label_issues(clips, textures)[0]
    assert issue == (clips[5], "class 0", pytest.approx(label / (label + wrong)))


def test_find_label_issues_learns_from_some_and_compares_all(
    textures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_errors, "MAX_TRAINING_CLIPS", 24)
    learned, fit = [], fit_logistic

    def count(x: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
        learned.append(np.bincount(targets).tolist())
        return fit(x, targets, classes)

    monkeypatch.setattr(label_errors, "fit_logistic", count)
    clips = _clips()
    wrong = {5: "class 2", 20: "class 0", 40: "class 1"}
    for index, label in wrong.items():
        clips[index] = replace(clips[index], label=label)
    found = find_label_issues(clips, textures)
    assert not isinstance(found, str)
    assert {clips[index].name for index in wrong} <= {issue.clip.name for issue in found}
    assert all(22 <= sum(counts) <= 24 and min(counts) >= 6 for counts in learned)


def test_held_out_probabilities_in_parts_are_the_same(
    textures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = np.array([int(clip.label[-1]) for clip in _clips()])
    arguments = np.stack(textures), targets, assign_folds(_clips())
    complete = held_out_probabilities(*arguments)
    monkeypatch.setattr(label_errors, "MAX_PREDICTED_CLIPS", 3)
    np.testing.assert_allclose(held_out_probabilities(*arguments), complete, rtol=1e-9)
