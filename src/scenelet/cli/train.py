"""`scenelet train`."""

from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.formats import parse_bytes, parse_count
from scenelet.console import say
from scenelet.errors import UsageError


def train(
    data: Annotated[Path, typer.Argument(help="TAU root, class-per-folder tree, or CSV/TSV with filename,label.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    recipe: Annotated[str | None, typer.Option(help="Recipe name or TOML file; fast by default.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold to hold out as test.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and mixing.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="On top of the recipe; may be repeated.")
    ] = None,
    audio_dir: Annotated[Path | None, typer.Option(help="Where a CSV's files lie.")] = None,
    three_classes: Annotated[bool, typer.Option(help="Map the ten TAU scenes to three.")] = False,
    macs: Annotated[
        str | None, typer.Option(help="Find width and depth: so many multiply-accumulates a second of sound, e.g. 30M.")
    ] = None,
    parameter_bytes: Annotated[
        str | None, typer.Option("--bytes", help="Find width and depth: so many bytes of parameters, zeros included.")
    ] = None,
    teacher: Annotated[Path | None, typer.Option(help="Run folder whose network teaches this one (distil).")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last finished epoch.")] = False,
) -> None:
    """Train a classifier on labelled recordings."""
    from scenelet.recipes import load_recipe
    from scenelet.workflows.fit import fit
    from scenelet.workflows.fit_network import Limits

    changes = list(change or [])
    changes += [] if fold is None else [f'split.fold="{fold}"']
    changes += [] if seed is None else [f"seed={seed}"]
    config = None
    if recipe or changes or not resume:
        config = load_recipe(recipe or "fast", changes)
    limits = Limits(
        None if macs is None else parse_count("--macs", macs),
        None if parameter_bytes is None else parse_bytes("--bytes", parameter_bytes),
    )
    chosen = [part for part in changes if part.partition("=")[0] == "network.width"]
    if chosen and limits != Limits():
        raise UsageError(f"--macs and --bytes find network.width; leave out --set {chosen[0]}, or them")
    metrics = fit(
        data,
        out,
        config,
        recipe=recipe or "fast",
        audio_dir=audio_dir,
        three_classes=three_classes,
        resume=resume,
        teacher=teacher,
        limits=limits,
    )
    say(f"trained in {metrics['minutes']:.1f} min")
    for side in ("validation", "test"):
        if side in metrics:
            made = " (made scenes)" if metrics["made"] else ""
            print(f"{side}: macro accuracy {100 * metrics[side]['macro_accuracy']:.1f} %{made}")
    say(f"next: scenelet compress {out} --out {out.name}.scn")
