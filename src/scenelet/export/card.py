"""A model card in Markdown, from what a model file holds."""

from collections.abc import Mapping
from typing import Any

from scenelet._version import __version__
from scenelet.costs import macs, peak_activation_bytes
from scenelet.modelfile import SceneModel
from scenelet.sizes import SIZE_RULES, sizes

MARKS = {"|": "&#124;", "<": "&lt;", "[": "&#91;", "!": "&#33;"}
"""What would begin a table's cell, a tag, a link or an image."""
LIMITS = """It answers with one of its {count} labels whatever it hears: another kind of sound is taken for one of them.
Its probabilities were not calibrated on anything but its training. Recordings from other places, devices or times than
those it was measured on can be harder."""


def card(model: SceneModel, name: str, disk_bytes: int) -> str:
    """Labels, data, sizes, results, limits and licences of a model, as Markdown.

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
        f"# {name}",
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
        *_results(model.results),
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
        "",
        "## Licence",
        "",
        *([f"- {_text(licence)}" for licence in model.licences] or ["None is known of the data it learnt from."]),
        "",
        "## How it was made",
        "",
        *(
            f"- {_text(key)}: {_text(value)}"
            for key, value in provenance.items()
            if not (value is None or isinstance(value, dict))
        ),
    ]
    return "\n".join(lines) + "\n"


def _data(provenance: Mapping[str, Any]) -> str:
    clips = provenance.get("train_clips") or {}
    made = " The recordings are made, not recorded." if provenance.get("made") else ""
    counted = ", ".join(f"{_text(label)} {count}" for label, count in clips.items())
    learnt = f" It learnt from {sum(clips.values()):,} clips ({counted})." if clips else ""
    return f"{_text(provenance.get('data') or 'Not known')}.{learnt}{made}"


def _results(results: Mapping[str, Any]) -> list[str]:
    """A row for the file, and one for the network that it was made from, by side."""
    rows = []
    for kind, what in (("compressed", "the file"), ("dense", "before it was compressed")):
        for side, measured in (results.get(kind) or {}).items():
            if not {"clips", "macro_accuracy", "log_loss"} <= measured.keys():
                continue
            figures = f"{100 * measured['macro_accuracy']:.2f} | {measured['log_loss']:.3f}"
            rows.append(f"| {what}, {_text(side)} | {measured['clips']:,} | {figures} |")
    if not rows:
        return ["Not measured."]
    return ["| | clips | macro accuracy, % | log loss |", "|---|---|---|---|", *rows]


def _text(value: Any) -> str:
    """As it may stand in Markdown: one line, and no table or tag begun."""
    text = " ".join(str(value).split())
    return "".join(MARKS.get(c, c) for c in text if c.isprintable())
