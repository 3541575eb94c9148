"""Figures by city, with intervals."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score

from scenelet.data.clips import Clip
from scenelet.evaluation.by_city import city_figures, city_rows, subset_figures
from scenelet.evaluation.report import ClipResult, report_table

LABELS = ("indoor", "outdoor", "transportation")


def results(city: str | None, skill: float, clips: int = 60) -> list[ClipResult]:
    rng = np.random.default_rng([clips, int(100 * skill)])
    made = []
    for i in range(clips):
        said = i % 3 if rng.random() < skill else (i + 1) % 3
        shares = [0.2, 0.2, 0.2]
        shares[said] = 0.6
        clip = Clip(Path(f"{city}{i}.wav"), f"{city}{i}.wav", LABELS[i % 3], f"{city}{i // 3}", city=city)
        made.append(ClipResult(clip, LABELS[said], tuple(shares)))
    return made


def test_figures_have_intervals_round_them() -> None:
    own = results("oslo", 0.8)
    report = subset_figures(own, LABELS)
    truth = [LABELS.index(result.clip.label) for result in own]
    assert report["macro_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, [LABELS.index(result.label) for result in own])
    )
    for name, interval in report["intervals"].items():
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert interval["value"] == pytest.approx(report[name])
    for entry in report["per_class"].values():
        assert entry["interval"]["value"] == pytest.approx(entry["accuracy"])
        assert entry["interval"]["high"] > entry["interval"]["low"]
    assert report["groups"] == 20


def test_seen_and_unseen_cities_and_the_clips_in_no_split() -> None:
    measured = results("oslo", 0.9) + results("rome", 0.8) + results("milan", 0.5)
    report = city_figures(measured, results("milan", 0.6, 90), ["oslo", "rome"], LABELS)
    assert [report["per_city"][city]["heard"] for city in ("milan", "oslo", "rome")] == [False, True, True]
    assert report["seen"]["clips"] == 120
    assert report["unseen"]["clips"] == 60
    assert report["unseen_with_unused"]["clips"] == 150
    assert report["unseen"]["macro_accuracy"] == report["per_city"]["milan"]["macro_accuracy"]
    assert report["unseen"]["macro_accuracy"] < report["seen"]["macro_accuracy"]
    names = [name for name, _ in city_rows(report)]
    assert names[0] == "milan (unseen)"
    assert names[-2:] == ["all unseen cities", "unseen, with the clips in no split"]
    whole = subset_figures(measured, LABELS) | report
    console = Console(width=160, file=io.StringIO())
    console.print(report_table(whole, city_rows(report)))
    text = console.file.getvalue()
    for shown in (whole["intervals"]["macro_accuracy"], whole["per_class"]["indoor"]["interval"]):
        assert f"{100 * shown['value']:.1f} % [{100 * shown['low']:.1f}, {100 * shown['high']:.1f}]" in text
    assert "milan (unseen)" in text


def test_without_cities_there_is_nothing_to_say() -> None:
    assert city_figures(results(None, 0.9), [], [], LABELS) == {}
    unknown = city_figures(results("oslo", 0.9), [], [], LABELS)
    assert unknown["per_city"]["oslo"]["heard"] is None
    assert "unseen" not in unknown
