"""Selection of the listening page's clips and windows."""

from helpers.example_report import make_predictions
from scenelet.evaluation.listening_page import select_clips, strongest_windows

LABELS = ("indoor", "outdoor", "transportation")


def test_select_clips_takes_the_most_confident_mistakes() -> None:
    predictions = make_predictions(LABELS, seed=1)
    mistakes, _ = select_clips(predictions, 5)
    assert len(mistakes) == 5
    highest = [max(predictions[i].probabilities) for i in mistakes]
    assert highest == sorted(highest, reverse=True)
    assert all(predictions[i].predicted != predictions[i].label for i in mistakes)
    wrong = [i for i, prediction in enumerate(predictions) if prediction.predicted != prediction.label]
    others = [max(predictions[i].probabilities) for i in wrong if i not in mistakes]
    assert others
    assert max(others) <= min(highest)


def test_select_clips_takes_the_least_certain_other_clips() -> None:
    predictions = make_predictions(LABELS, seed=1)
    mistakes, uncertain = select_clips(predictions, 5)
    assert len(uncertain) == 5
    assert not set(mistakes) & set(uncertain)

    def margin(index: int) -> float:
        ordered = sorted(predictions[index].probabilities)
        return ordered[-1] - ordered[-2]

    margins = [margin(i) for i in uncertain]
    assert margins == sorted(margins)
    assert max(margins) <= min(margin(i) for i in range(len(predictions)) if i not in {*mistakes, *uncertain})


def test_strongest_windows_have_the_highest_probability(malicious: object) -> None:
    first, labels = malicious.predictions[0], malicious.report["labels"]
    shown = strongest_windows(first, labels)
    answer = labels.index(first.predicted)
    assert shown == sorted(shown)
    assert len(shown) == 3 < len(first.windows)
    others = [row[answer] for i, row in enumerate(first.windows) if i not in shown]
    assert min(first.windows[i][answer] for i in shown) >= max(others)
