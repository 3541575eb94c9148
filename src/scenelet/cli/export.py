"""`scenelet export`."""

from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.formats import MODEL_HELP
from scenelet.console import say


def export(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    out: Annotated[Path, typer.Option(help="ONNX file to write, NAME.onnx.")],
) -> None:
    """Write the network as one ONNX file: raw log-mel in, probabilities out."""
    import json

    from scenelet.classifier import load
    from scenelet.files import replace_file
    from scenelet.graph import largest_difference, to_onnx

    classifier = load(model)
    held = classifier.model
    metadata = {
        "labels": json.dumps(held.labels),
        "features": held.features.model_dump_json(),
        "window": held.window.model_dump_json(),
    }
    exported = to_onnx(held.nodes, held.arrays, held.input_shape, metadata=metadata).SerializeToString()
    difference = largest_difference(exported, classifier.probabilities, held.input_shape)
    replace_file(out, exported)
    say(f"written: {out}, {len(exported):,} bytes; input log_mel (batch, {', '.join(map(str, held.input_shape))})")
    print(f"largest difference from the model file on random input: {difference:.3g}")
