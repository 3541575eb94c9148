"""Text of a comparison on the systems that validation selects; see `scenelet.experiments.selection`."""

from collections.abc import Mapping
from typing import Any

from scenelet.evaluation.bootstrap import interval_text
from scenelet.utils.text import markdown_table


def choices_markdown(compared: Mapping[str, Any]) -> list[str]:
    """Format the systems that validation selects for each fold and for all together, as lines of Markdown."""
    rows, choices = [], compared["choices"]
    for choice in choices:
        score = choice["scores"][choice["chosen"]]
        values = [f"{100 * score['macro_accuracy']:.2f}", f"{score['log_loss']:.3f}"]
        rows.append([choice["fold"], f"{choice['clips']:,}", choice["chosen"], *values])
    left_out = sorted({name for choice in choices for name in choice["left_out"]})
    return [
        "For each test fold, the system with the best validation accuracy. Its validation clips come from the folds"
        " that were held out together with the test fold, so the networks were trained on neither.",
        "",
        *markdown_table(
            ["test fold", "validation clips", "selected system", "macro accuracy there, %", "log loss there"], rows
        ),
        "",
        *_pooled_choice(compared),
        *(["", f"Left out because of missing trials: {'; '.join(left_out)}."] if left_out else []),
    ]


def _pooled_choice(compared: Mapping[str, Any]) -> list[str]:
    """Say what all folds select together, if each of them agrees, and how good each fold's own choice is."""
    pooled, tested = compared["pooled_choice"], compared["as_chosen"]
    sentences = []
    if pooled is not None:
        score = f"{100 * pooled['scores'][pooled['chosen']]['macro_accuracy']:.2f} %"
        sentences.append(f"All folds together select '{pooled['chosen']}' ({score} of {pooled['clips']:,} clips).")
        if all(choice["chosen"] == pooled["chosen"] for choice in compared["choices"]):
            sentences.append("Each fold selects it without its own clips.")
        else:
            sentences.append(
                "Some folds select another system without their own clips, so a test of this one would flatter it."
                " Quote the test of each fold's own choice."
            )
    if tested is not None:
        accuracy, loss = interval_text(tested["macro_accuracy"], 2, 100), interval_text(tested["log_loss"], 3)
        sentences.append(f"Each fold tested with its own choice: macro accuracy {accuracy} %, log loss {loss}.")
    return [" ".join(sentences)]
