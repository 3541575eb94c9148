"""`scenelet info`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scenelet.cli.completion import models, rules
from scenelet.cli.info_compare import compare
from scenelet.cli.info_rules import check_rule, print_fact, print_sizes
from scenelet.cli.options import MODEL_HELP, Format, FormatOption, QuietOption
from scenelet.errors import UsageError
from scenelet.utils.text import pluralize

RULE_HELP = "Size rule, e.g. dcase2024: print its count and limits; exit status 1 if they are exceeded."


def info(
    model: Annotated[
        str, typer.Argument(help=f"{MODEL_HELP} Or a folder of model files to compare.", autocompletion=models)
    ],
    format: FormatOption = Format.table,
    plot: Annotated[Path | None, typer.Option(help="Folder: also plot accuracy over size to NAME.png.")] = None,
    rule: Annotated[str | None, typer.Option(help=RULE_HELP, autocompletion=rules)] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Also print the layers and all settings.")] = False,
    mhz: Annotated[
        float, typer.Option(min=1, help="Clock of a microcontroller, in MHz, for the estimate of the time.")
    ] = 100.0,
    quiet: QuietOption = False,
) -> None:
    """Describe a model, or compare the models in a folder.

    The description lists accuracy, sizes, multiply-accumulates, memory and origin.
    """
    from scenelet.export.c.footprint import describe_footprint
    from scenelet.model.file import decode_model, read_bytes
    from scenelet.model.pretrained import built_in, card, model_path
    from scenelet.model.rules import find_rule
    from scenelet.model.summary import describe_model

    limits = None if rule is None else find_rule(rule)
    if Path(model).is_dir() and built_in(model) is None:
        compare(Path(model), format, plot, limits)
        return
    if plot is not None:
        raise UsageError(f"--plot compares the models of a folder, and {model} is not a folder")
    path = model_path(model)
    file = read_bytes(path)
    decoded = decode_model(file, str(path))
    if limits is not None:
        check_rule(limits, decoded, len(file), format)
        return
    description = describe_model(decoded, file, str(path))
    description["microcontroller"] = describe_footprint(decoded, mhz)
    if format is Format.json:
        print(json.dumps(description, indent=2))
    else:
        print_description(description, layers)
        if (written := card(path)) is not None:
            print(f"its card: {written}")


def print_description(description: dict[str, Any], layers: bool = False) -> None:
    """Print results, costs, sizes and origin in 80 columns; optionally the layers and all settings."""
    features, window = description["features"], description["window"]
    field, parts = description["receptive_field"], description["file_parts"]
    mega = f"{description['macs_per_second'] / 1e6:,.1f} M per second of sound, {description['macs'] / 1e6:,.1f} M"
    facts = {
        "labels": ", ".join(description["labels"]),
        **({"background": description["background"]} if description["background"] else {}),
        **_results(description["results"], description["labels"]),
        **_unlike(description["min_similarity"]),
        "input": f"{features['channels']}, {features['sample_rate']:,} Hz, {features['n_mels']} log-mel bands,"
        f" windows of {window['seconds']:g} s",
        "parameters": f"{description['parameters']:,}, of which {description['parameters_kept']:,} kept",
        "multiply-adds": f"{mega} per window",
        "activations": f"{description['peak_activation_bytes'] / 1000:,.1f} kB maximum, in fp32",
        **_microcontroller(description["microcontroller"], window["seconds"]),
        "receptive field": f"{field['bands']} bands x {field['frames']} frames ({field['seconds']:.2f} s)",
        "file": f"{description['bytes']['disk'] / 1000:,.2f} kB: weights {parts['weights']:,} bytes ({_bound(parts)}),"
        f" other arrays {parts['others']:,}, header {parts['header'] + parts['frame']:,}",
        **_origin(description["provenance"]),
        "licenses": "; ".join(map(plain, description["licenses"])) or "unknown",
    }
    for name, text in facts.items():
        print_fact(name, text)
    print_sizes(description["rules"])
    if layers:
        _print_layers(description["layers"])
        for part in ("features", "window", "provenance", "results"):
            print(f"\n{part}")
            for name, value in _flatten(description[part]):
                print(f"{plain(name)} = {plain(value)}")


def _results(results: dict[str, Any], labels: list[str]) -> dict[str, str]:
    """Put the stored accuracies and the thresholds into words. A file from another source may hold anything."""
    from scenelet.inference.calibration import stored_calibration
    from scenelet.inference.threshold import stored_label_thresholds, stored_threshold
    from scenelet.model.summary import stored_metrics

    facts = {}
    kinds: dict[Literal["compressed", "dense"], str] = {"compressed": "accuracy", "dense": "before compression"}
    for kind, title in kinds.items():
        accuracies = [
            f"{100 * metrics.macro_accuracy:.2f} % of {pluralize(metrics.clips, f'{plain(subset)} clip')} (macro)"
            for subset, metrics in stored_metrics(results, kind).items()
        ]
        if accuracies:
            facts[title] = "; ".join(accuracies)
    unsure = []
    if (threshold := stored_threshold(results)) is not None:
        unsure.append(
            f"below {100 * threshold.probability:.1f} %; above it {100 * threshold.accuracy:.1f} % were right"
        )
    if (found := stored_label_thresholds(results, labels)) is not None:
        limits = ("never sure" if p > 1 else f"{100 * p:.1f} %" for p in found.probabilities)
        by_label = ", ".join(f"{label} {limit}" for label, limit in zip(labels, limits, strict=True))
        unsure.append(f"by label: {by_label}; with these, {found.effect}")
    if (calibration := stored_calibration(results)) is not None:
        (loss, loss_after), (ece, ece_after) = calibration.log_loss, calibration.ece
        facts["calibration"] = (
            f"temperature {calibration.temperature:.2f}; on {pluralize(calibration.clips, 'clip')}"
            f" ({plain(calibration.subset)}) log loss {loss:.3f} before and {loss_after:.3f} after, calibration error"
            f" {ece:.3f} and {ece_after:.3f}"
        )
    if unsure:
        facts["unsure"] = "; ".join(unsure)
    return facts


def _unlike(min_similarity: float | None) -> dict[str, str]:
    """Put the rule for sounds that are unlike all training sounds into words."""
    if min_similarity is None:
        return {}
    return {"unlike sounds": f"unsure too, below a similarity of {min_similarity:.4f} to all classes"}


def _microcontroller(found: dict[str, Any], window_seconds: float) -> dict[str, str]:
    """Put the memory and the time on a microcontroller into words."""
    if "error" in found:
        return {"microcontroller": found["error"]}
    kind = "int8" if found["int8"] else "float"
    kilo = {name: f"{found[name] / 1000:,.1f} kB" for name in ("flash", "ram", "activations", "features")}
    memory = f"in {kind}, flash {kilo['flash']}, RAM {kilo['ram']} (activations {kilo['activations']}, features"
    time = f"about {found['seconds']:.2g} s per window of {window_seconds:g} s on a Cortex-M4 at {found['mhz']:g} MHz"
    return {"microcontroller": f"{memory} {kilo['features']}); {time} (estimate)"}


def _origin(provenance: dict[str, Any]) -> dict[str, str]:
    """Put recipe, data and split into words."""
    recipe = [
        plain(provenance[key]) if key == "recipe" else f"{key} {plain(provenance[key])}"
        for key in ("recipe", "seed", "epochs")
        if key in provenance
    ]
    split = provenance.get("split")
    chosen = dict(_flatten(split)) if isinstance(split, dict) else {}
    source = provenance.get("source")
    facts = {
        "recipe": ", ".join(recipe),
        "started from": _started_from(source) if isinstance(source, dict) else "",
        "data": plain(provenance["data"]) if provenance.get("data") else "",
        "split": ", ".join(f"{plain(key)} {plain(value)}" for key, value in chosen.items() if value not in (None, 0)),
        "scenelet": plain(provenance["scenelet"]) if "scenelet" in provenance else "",
    }
    return {name: text for name, text in facts.items() if text}


def _started_from(source: dict[str, Any]) -> str:
    return f"{plain(source.get('name'))}{', frozen' if source.get('frozen') is True else ''}"


def _bound(parts: dict[str, int]) -> str:
    """Compare the weights with the least that an order-0 code needs."""
    if not parts["weights_bound"]:
        return "none can be pruned"
    excess = 100 * (parts["weights"] / parts["weights_bound"] - 1)
    return f"{abs(excess):.1f} % {'above' if excess >= 0 else 'below'} their order-0 entropy"


def _print_layers(layers: list[dict[str, Any]]) -> None:
    """Print one row per layer; a shared array is counted at the first layer that uses it.

    The number of nonzero weights can be lower than the number that pruning kept, since int8 and int4 round to zero.
    """
    width = max(len("layer"), *(len(layer["name"]) for layer in layers))
    print(f"\n{'layer':<{width}} {'op':<11} {'output':<12}{'parameters':>10} {'not zero':>9} {'M MACs':>9}")
    for layer in layers:
        parameters, kept = f"{layer['parameters']:,}", f"{layer['kept']:,}"
        if layer["shared_with"]:
            parameters, kept = "shared", ""
        elif not layer["parameters"]:
            parameters = kept = ""
        cost = f"{layer['macs'] / 1e6:,.2f}" if layer["macs"] else ""
        shape = "x".join(map(str, layer["shape"]))
        row = f"{layer['name']:<{width}} {layer['op']:<11} {shape:<12}{parameters:>10} {kept:>9} {cost:>9}"
        print(row.rstrip())


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the names of nested values, joined by dots, and the values."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def plain(value: Any) -> str:
    """Format a value of the file without control characters, which a terminal would execute."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
