"""A model card in Markdown, from what a model file holds."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from scenelet import __version__
from scenelet.inference.threshold import Threshold
from scenelet.model.costs import macs, peak_activation_bytes
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import SIZE_RULES, sizes
from scenelet.model.summary import stored_results

MARKS = {"|": "&#124;", "<": "&lt;", "[": "&#91;", "!": "&#33;"}
"""What would begin a table's cell, a tag, a link or an image."""
KINDS: dict[Literal["compressed", "dense"], str] = {"compressed": "the file", "dense": "before it was compressed"}
ORIGIN = {
    "recipe": "Recipe",
    "network": "Network",
    "teacher": "Taught by",
    "split": "Split",
    "split_hash": "Fingerprint of the split",
    "train_cities": "Cities it learnt from",
    "seed": "Seed",
    "epochs": "Epochs",
    "fine_tuning_epochs": "Epochs of fine-tuning",
    "sparsity": "Share of convolution weights pruned",
    "dtype": "Format of weights",
    "versions": "Versions",
}
"""Entries of the provenance that a card tells, and how it calls them."""
LIMITS = """It answers with one of its {count} labels whatever it hears: another kind of sound is taken for one of them.
Its probabilities were not calibrated on anything but its training. Recordings from other places, devices or times than
those it was measured on can be harder."""


def model_card(model: SceneModel, name: str, disk_bytes: int) -> str:
    """Labels, data, sizes, results, limits and licenses of a model, as Markdown.

    Args:
        model: what the file holds.
        name: of the model, for the heading.
        disk_bytes: of its file.
    """
    counts, provenance = model.counts, model.provenance
    cost = macs(model.nodes, model.array_shapes, model.input_shape)
    memory = peak_activation_bytes(model.nodes, model.array_shapes, model.input_shape)
    features, seconds = model.features, model.window.seconds
    lines = [
        f"# {_text(name)}",
        "",
        f"An acoustic-scene classifier of {disk_bytes:,} bytes, made with scenelet"
        f" {_text(provenance.get('scenelet', __version__))}.",
        "",
        f"**Labels** ({len(model.labels)}): {', '.join(map(_text, model.labels))}.",
        "",
        f"**Hears** {seconds:g} s at a time, {features.channels}, {features.sample_rate:,} Hz, as {features.n_mels}"
        f" log-mel bands every {1000 * features.hop_length / features.sample_rate:.1f} ms.",
        "",
        "## Data",
        "",
        _data(provenance),
        "",
        "## Results",
        "",
        *_results(model),
        "",
        "## Size",
        "",
        f"{counts.parameters:,} parameters, {counts.parameters_kept:,} kept;"
        f" {cost / seconds / 1e6:,.1f} M multiply-accumulates for a second of sound; {memory / 1000:,.0f} kB of"
        " activations at most, in fp32.",
        "",
        "| counted by | bytes | what counts |",
        "|---|---|---|",
        *(f"| {rule} | {sizes(model, disk_bytes)[rule]:,} | {what} |" for rule, (_, what) in SIZE_RULES.items()),
        "",
        "## Limits",
        "",
        LIMITS.format(count=len(model.labels)),
        *_unsure(model),
        "",
        "## License of the data",
        "",
        *([f"- {_text(license)}" for license in model.licenses] or ["None is known of the data it learnt from."]),
        "",
        "What holds for the model itself is for its maker to say; its data's terms may bear on it.",
        "",
        "## How it was made",
        "",
        *_origin(provenance),
    ]
    return "\n".join(lines) + "\n"


def _data(provenance: Mapping[str, Any]) -> str:
    given = provenance.get("train_clips")
    clips = {label: n for label, n in given.items() if isinstance(n, int)} if isinstance(given, dict) else {}
    made = " The recordings are synthetic." if provenance.get("synthetic") is True else ""
    pluralize = ", ".join(f"{_text(label)} {count}" for label, count in clips.items())
    learnt = f" It learnt from {sum(clips.values()):,} clips ({pluralize})." if clips else ""
    return f"{_text(provenance.get('data') or 'Not known')}.{learnt}{made}"


def _unsure(model: SceneModel) -> list[str]:
    """From which probability on an answer counts, where the file says it."""
    try:
        found = Threshold(**{field.name: model.results["threshold"][field.name] for field in fields(Threshold)})
        sure = f"{100 * found.below:.1f} %"
        right = f"{100 * found.right:.1f} % of the answers above it were right, on {found.clips:,} held-out clips"
    except (KeyError, TypeError, ValueError):  # a file of somebody else's may hold anything there
        return []
    return [f"An answer with less than {sure} counts as unsure: {right}."]


def _results(model: SceneModel) -> list[str]:
    """A row for the file, and one for the network that it was made from, by side."""
    rows = []
    for kind, what in KINDS.items():
        for side, measured in stored_results(model, kind).items():
            figures = f"{100 * measured.macro_accuracy:.2f} | {measured.log_loss:.3f}"
            rows.append(f"| {what}, {_text(side)} | {measured.clips:,} | {figures} |")
    if not rows:
        return ["Not measured."]
    return ["| | clips | macro accuracy, % | log loss |", "|---|---|---|---|", *rows]


def _origin(provenance: Mapping[str, Any]) -> list[str]:
    """Recipe, network, what was held out, teacher, seed, versions: a line each, of what is known."""
    lines = []
    for key, what in ORIGIN.items():
        value = provenance.get(key)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {_words(one)}" for name, one in value.items() if _is_said(one))
        if _is_said(value):
            lines.append(f"- {what}: {_text(_words(value))}")
    return lines


def _is_said(value: Any) -> bool:
    return not (value is None or value is False or value in ("", [], {}))


def _words(value: Any) -> str:
    """A setting as a reader's words: lists as 2 x 4, settings of their own as name value."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_words(one)}" for name, one in value.items() if one is not None) + ")"
    if isinstance(value, list):
        return (
            " x ".join(map(_words, value)) if all(isinstance(one, int) for one in value) else ", ".join(map(str, value))
        )
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    """As it may stand in Markdown: one line, and no table or tag begun."""
    text = " ".join(str(value).split())
    return "".join(MARKS.get(c, c) for c in text if c.isprintable())
