"""Model card in Markdown, generated from a model file."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from scenelet import __version__
from scenelet.inference.calibration import stored_calibration
from scenelet.inference.threshold import stored_label_thresholds, stored_threshold
from scenelet.model.costs import macs, peak_activation_bytes
from scenelet.model.rules import RULES
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.model.summary import stored_metrics

ESCAPES = {c: "&lt;" if c == "<" else f"&#{ord(c)};" for c in "|<[!`~#*\\"}
"""Replacements of characters that have a meaning in Markdown: of tables, tags, links, images, code and headings."""
BLOCK_START = re.compile(r"^[-+=>]|(?<=^\d)[.)](?= )|(?<=^\d\d)[.)](?= )")
"""Characters that begin a list, a quotation or a line under a heading if a line begins with them."""
RESULT_KINDS: dict[Literal["compressed", "dense"], str] = {"compressed": "the file", "dense": "before compression"}
PROVENANCE_ENTRIES = {
    "recipe": "Recipe",
    "network": "Network",
    "teacher": "Distilled from",
    "source": "Started from",
    "split": "Split",
    "split_hash": "Hash of the split",
    "train_cities": "Training cities",
    "train_devices": "Training devices",
    "seed": "Seed",
    "epochs": "Epochs",
    "fine_tuning_epochs": "Epochs of fine-tuning",
    "sparsity": "Pruned fraction of convolution weights",
    "dtype": "Weight format",
    "versions": "Versions",
}
"""Mapping from an entry of the provenance to its name on a card."""
LIMITS = """The model assigns one of its {count} labels to any sound, so it mistakes other kinds of sound for these.
{calibration} Recordings from other places, devices or times than those of its test clips can be harder."""

BACKGROUND_LIMITS = """The model assigns one of its {count} labels to any sound. Sounds unlike its training recordings,
background included, may still be mistaken for one of its classes.
{calibration} Recordings from other places, devices or times than those of its test clips can be harder."""


def model_card(model: SceneModel, name: str, disk_bytes: int) -> str:
    """Return a model card as Markdown: labels, data, results, sizes, limits, licenses and provenance.

    Args:
        model: the content of the file.
        name: the name of the model, for the heading.
        disk_bytes: the size of the file.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> card = model_card(read_model(built_in("esc10")), "esc10", 118_907)
    >>> card.splitlines()[2]
    'A sound classifier of 118,907 bytes, made with scenelet 0.1.0.'
    """
    provenance = model.provenance
    features, seconds = model.features, model.window.seconds
    channels = f"channel {features.channels}" if isinstance(features.channels, int) else features.channels
    lines = [
        f"# {markdown_text(name)}",
        "",
        f"A sound classifier of {disk_bytes:,} bytes, made with scenelet"
        f" {markdown_text(provenance.get('scenelet', __version__))}.",
        "",
        f"**Labels** ({len(model.labels)}): {', '.join(map(markdown_text, model.labels))}.",
        *_background(model),
        "",
        f"**Input**: windows of {seconds:g} s, {channels}, {features.sample_rate:,} Hz, as {features.n_mels}"
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
        *_size(model, disk_bytes),
        "",
        "## Limits",
        "",
        (LIMITS if model.background is None else BACKGROUND_LIMITS).format(
            count=len(model.labels), calibration=_calibration(model)
        ),
        *_thresholds(model),
        "",
        "## License of the data",
        "",
        *(
            [f"- {markdown_text(license)}" for license in model.licenses]
            or ["The license of the training data is unknown."]
        ),
        "",
        "The author of the model decides on its own license, on which the licenses of the data may bear.",
        "",
        "## Provenance",
        "",
        *_provenance(provenance),
    ]
    return "\n".join(lines) + "\n"


def _background(model: SceneModel) -> list[str]:
    if model.background is None:
        return []
    return [
        "",
        f"**Background**: {markdown_text(model.background)} means that no other class was recognized.",
    ]


def _data(provenance: Mapping[str, Any]) -> str:
    given = provenance.get("train_clips")
    clips = {label: n for label, n in given.items() if isinstance(n, int)} if isinstance(given, dict) else {}
    synthetic = " The recordings are synthetic." if provenance.get("synthetic") is True else ""
    per_label = ", ".join(f"{markdown_text(label)} {count}" for label, count in clips.items())
    training = f" The model was trained on {sum(clips.values()):,} clips ({per_label})." if clips else ""
    return f"{markdown_text(provenance.get('data') or 'Unknown')}.{training}{synthetic}"


def _size(model: SceneModel, disk_bytes: int) -> list[str]:
    """Return parameters and costs in a line, and a table with a row per size rule."""
    counts, rule_bytes = model.counts, sizes(model, disk_bytes)
    cost = macs(model.nodes, model.array_shapes, model.input_shape) / model.window.seconds
    memory = peak_activation_bytes(model.nodes, model.array_shapes, model.input_shape)
    return [
        f"{counts.parameters:,} parameters, {counts.parameters_kept:,} kept;"
        f" {cost / 1e6:,.1f} M multiply-accumulates per second of sound; at most {memory / 1000:,.0f} kB of"
        " activations in fp32.",
        "",
        "| rule | bytes | what counts |",
        "|---|---|---|",
        *(f"| {name} | {rule_bytes[name]:,} | {rule.text} |" for name, rule in RULES.items()),
    ]


def _calibration(model: SceneModel) -> str:
    """Put into words on which clips the probabilities were calibrated, if on any."""
    if (stored := stored_calibration(model.results)) is None:
        return "Its probabilities were not calibrated on data outside its training set."
    clips = f"{stored.clips:,} clips of the {markdown_text(stored.subset)} split"
    return f"Its probabilities were calibrated on {clips}, by a temperature of {stored.temperature:.2f}."


def _thresholds(model: SceneModel) -> list[str]:
    """Return lines on the general threshold, those of the labels, and the similarity, if the file has valid ones."""
    lines = []
    if (found := stored_threshold(model.results)) is not None:
        correct = (
            f"{100 * found.accuracy:.1f} % of the predictions above it were correct, on {found.clips:,} held-out clips"
        )
        lines.append(f"A prediction with less than {100 * found.probability:.1f} % counts as unsure: {correct}.")
    if (stored := stored_label_thresholds(model.results, model.labels)) is not None:
        limits = ("never sure" if p > 1 else f"{100 * p:.1f} %" for p in stored.probabilities)
        by_label = ", ".join(f"{markdown_text(label)} {p}" for label, p in zip(model.labels, limits, strict=True))
        lines.append(f"Each label has a threshold of its own: {by_label}. With these, {stored.effect}.")
    if model.known is not None:
        lines.append(
            f"A sound with a similarity below {model.known.min_similarity:.4f} to all classes counts as unsure too."
            " Many sounds of other kinds reach this similarity."
        )
    return lines


def _results(model: SceneModel) -> list[str]:
    """Return a table row per subset for the file, and for the network before compression."""
    rows = []
    for kind, description in RESULT_KINDS.items():
        for subset, stored in stored_metrics(model.results, kind).items():
            metrics = f"{100 * stored.macro_accuracy:.2f} | {stored.log_loss:.3f}"
            rows.append(f"| {description}, {markdown_text(subset)} | {stored.clips:,} | {metrics} |")
    if not rows:
        return ["Not measured."]
    return ["| | clips | macro accuracy, % | log loss |", "|---|---|---|---|", *rows]


def _provenance(provenance: Mapping[str, Any]) -> list[str]:
    """Return a line per known entry: recipe, network, teacher, split, seed, versions and others."""
    lines = []
    for key, title in PROVENANCE_ENTRIES.items():
        value = provenance.get(key)
        if isinstance(value, dict):
            value = ", ".join(f"{name} {_format(item)}" for name, item in value.items() if _is_known(item))
        if _is_known(value):
            lines.append(f"- {title}: {markdown_text(_format(value))}")
    return lines


def _is_known(value: Any) -> bool:
    return not (value is None or value is False or value in ("", [], {}))


def _format(value: Any) -> str:
    """Format a value: a list of integers as "2 x 4", nested settings as "(name value, name value)"."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_format(item)}" for name, item in value.items() if item is not None) + ")"
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return " x ".join(map(_format, value))
        return ", ".join(map(_format, value))
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown_text(value: Any) -> str:
    """Return the value as one line of Markdown text, which stays text wherever it stands.

    >>> markdown_text("<b>a|b")
    '&lt;b>a&#124;b'
    """
    text = " ".join(str(value).split())
    escaped = "".join(ESCAPES.get(c, c) for c in text if c.isprintable())
    return BLOCK_START.sub(lambda found: f"&#{ord(found[0])};", escaped)
