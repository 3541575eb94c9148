"""Doubted labels: the classifier against scikit-learn, whole groups held out, planted labels found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scenelet.data.audit import label_errors as module
from scenelet.data.audit.label_errors import LabelIssue, assign_folds, find_label_issues, fit_logistic, rare_classes
from scenelet.data.audit.texture import FEATURES, LENGTH, texture
from scenelet.data.clips import Clip


def _clips(classes: int = 3, groups: int = 8, each: int = 2) -> list[Clip]:
    return [
        Clip(Path(), f"{label}{group}{i}", f"class {label}", f"{label} {group}")
        for label in range(classes)
        for group in range(groups)
        for i in range(each)
    ]


@pytest.fixture
def textures(rng: np.random.Generator) -> list[np.ndarray]:
    """Of `_clips()`: each class is shifted in its own ten numbers."""
    made = []
    for clip in _clips():
        values = rng.standard_normal(LENGTH)
        start = 10 * int(clip.label[-1])
        values[start : start + 10] += 4.0
        made.append(values.astype(np.float32))
    return made


def test_weights_are_scikit_learns(rng: np.random.Generator) -> None:
    x, targets = rng.standard_normal((60, 5)), np.repeat([0, 1, 2], [10, 20, 30])
    x[:, 0] += targets
    ours = fit_logistic(x, targets, 3, steps=2000)
    theirs = LogisticRegression(C=1 / module.PENALTY, class_weight="balanced", tol=1e-10, max_iter=5000)
    theirs.fit(x, targets)
    np.testing.assert_allclose(ours[:-1], theirs.coef_.T, atol=2e-3)
    offsets = ours[-1] - ours[-1].mean()
    np.testing.assert_allclose(offsets, theirs.intercept_ - theirs.intercept_.mean(), atol=2e-3)


def test_products_in_pieces_give_the_same(rng: np.random.Generator) -> None:
    x, targets = rng.standard_normal((50, 4)), rng.integers(0, 2, 50)
    whole = fit_logistic(x, targets, 2)
    np.testing.assert_allclose(fit_logistic(x, targets, 2, max_product_terms=70), whole, atol=1e-4)


def test_planted_labels_come_first(textures: list[np.ndarray]) -> None:
    clips = _clips()
    planted = {5: "class 2", 20: "class 0", 40: "class 1"}
    for place, label in planted.items():
        clips[place] = replace(clips[place], label=label)
    found = find_label_issues(clips, textures)
    assert not isinstance(found, str)
    assert {suspect.clip.name for suspect in found[:3]} == {clips[place].name for place in planted}
    assert {suspect.sounds_like for suspect in found[:3]} == {"class 0", "class 1", "class 2"}
    assert found == sorted(found, key=lambda suspect: -suspect.score)
    assert found[2].score > module.MIN_SCORE
    assert find_label_issues(_clips(), textures) == []
    assert find_label_issues(clips, textures) == found


def test_a_clip_is_judged_without_its_group(textures: list[np.ndarray]) -> None:
    """All clips of a group under one wrong label do not vouch for each other."""
    clips, copied = _clips(), list(textures)
    for place in (0, 1):
        clips[place] = replace(clips[place], label="class 1")
    copied[1] = copied[0]
    found = find_label_issues(clips, copied)
    assert not isinstance(found, str)
    assert {suspect.clip.name for suspect in found[:2]} == {clips[0].name, clips[1].name}


@pytest.mark.parametrize("folds", ["none", "whole", "one group cut", "each group cut"])
def test_parts_keep_groups_whole_and_classes_spread(folds: str) -> None:
    clips = _clips()
    if folds != "none":
        clips = [replace(clip, fold=str(int(clip.group[-1]) % 4)) for clip in clips]
    if folds == "one group cut":
        clips[1] = replace(clips[1], fold="3")
    if folds == "each group cut":  # the first clip of each lies in one fold
        seen: set[str] = set()
        for place, clip in enumerate(clips):
            clips[place] = replace(clip, fold=str(place % 3) if clip.group in seen else "0")
            seen.add(clip.group)
    parts = assign_folds(clips)
    for group in {clip.group for clip in clips}:
        assert len({part for clip, part in zip(clips, parts, strict=True) if clip.group == group}) == 1
    for label in {clip.label for clip in clips}:
        counts = np.bincount([part for clip, part in zip(clips, parts, strict=True) if clip.label == label])
        assert len(counts) == (4 if folds == "whole" else module.N_FOLDS)
        assert counts.min() >= 2


@pytest.mark.parametrize(("groups", "each"), [(3, 4), (7, 1), (1, 20)])
def test_too_few_cannot_tell(groups: int, each: int) -> None:
    clips = _clips(groups=groups, each=each)
    reason = find_label_issues(clips, [np.zeros(LENGTH, np.float32)] * len(clips))
    assert isinstance(reason, str)
    assert "fewer than two classes have at least 8 clips, of 4 groups" in reason
    assert rare_classes(clips)["class 0"].startswith(f"{groups * each} clips of {groups} group")


def test_a_rare_class_leaves_the_others_compared(textures: list[np.ndarray]) -> None:
    clips = _clips()
    clips[4] = replace(clips[4], label="class 1")
    rare = [replace(clip, name=f"rare {clip.name}", label="rare") for clip in clips[:2]]
    assert rare_classes([*clips, *rare]) == {"rare": "2 clips of 1 group"}
    assert find_label_issues([*clips, *rare], [*textures, *textures[:2]]) == find_label_issues(clips, textures) != []


def test_guessing_cannot_tell(rng: np.random.Generator) -> None:
    noise = [rng.standard_normal(LENGTH).astype(np.float32) for _ in _clips()]
    reason = find_label_issues(_clips(), noise)
    assert isinstance(reason, str)
    assert "confuses the classes too often" in reason


def test_score_is_the_share_of_the_two() -> None:
    clip = _clips()[0]
    assert LabelIssue(clip, "x", 0.6, 0.2).score == pytest.approx(0.75)


def test_texture_does_not_depend_on_loudness_or_moment(rng: np.random.Generator) -> None:
    noise = 0.1 * rng.standard_normal((1, 5 * FEATURES.sample_rate)).astype(np.float32)
    one = texture(noise)
    assert one.shape == (LENGTH,)
    np.testing.assert_allclose(texture(noise * np.float32(0.1)), one, atol=1e-2)
    moved = texture(np.roll(noise, 512 * 40, axis=1))
    np.testing.assert_allclose(moved[:64], one[:64], atol=0.2)
    slow = noise * (1 + 0.9 * np.sin(2 * np.pi * 4 * np.arange(noise.shape[1]) / FEATURES.sample_rate))
    modulations = slice(192, 192 + 128)
    gain = (texture(slow.astype(np.float32)) - one)[modulations].reshape(16, 8).mean(axis=0)
    assert np.argmax(gain) == 5  # 4 Hz is line 20 of 108, and this part goes from line 19 to line 32
