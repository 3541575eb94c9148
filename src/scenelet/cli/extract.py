"""`scenelet extract`."""

from typing import Annotated

import typer

from scenelet.cli.bulk_job import discard_stdout, print_summary
from scenelet.cli.options import (
    ENGINE_HELP,
    FORMAT_HELP,
    PROTOCOL_HELP,
    RETRY_ERRORS_HELP,
    SET_HELP,
    SHARD_SIZE_HELP,
    WORKERS_HELP,
    Engine,
    RowFormat,
)
from scenelet.errors import UsageError


def extract(
    manifest: Annotated[str, typer.Argument(help="CSV or Parquet list of paths or URLs, or a folder of recordings.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the Parquet files.")],
    model: Annotated[str | None, typer.Option(help="Use the features of this model.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Use the features of this recipe (default: default).")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=SET_HELP)] = None,
    engine: Annotated[Engine, typer.Option(help=ENGINE_HELP)] = Engine.local,
    workers: Annotated[int | None, typer.Option(min=1, help=WORKERS_HELP)] = None,
    shard_size: Annotated[int | None, typer.Option(min=1, help=SHARD_SIZE_HELP)] = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help=RETRY_ERRORS_HELP)] = False,
    protocol: Annotated[list[str] | None, typer.Option(help=PROTOCOL_HELP)] = None,
    format: Annotated[RowFormat, typer.Option(help=FORMAT_HELP)] = RowFormat.table,
) -> None:
    """Compute the log-mel features of many recordings."""
    from scenelet.bulk.run import extract as compute_all
    from scenelet.config.recipes import load_recipe

    if model is not None and (recipe is not None or change):
        raise UsageError("give --model, or --recipe and --set, not both")
    if model is not None:
        from scenelet.model.file import read_model
        from scenelet.model.pretrained import model_path

        read = read_model(model_path(model))
        config, window = read.features, read.window
    else:
        settings = load_recipe(recipe or "default", change or [])
        config, window = settings.features, settings.window
    with discard_stdout():
        summary = compute_all(
            config,
            window,
            manifest,
            out,
            engine=engine.value,
            workers=workers,
            shard_size=shard_size,
            retry_errors=retry_errors,
            protocols=protocol or (),
        )
    print_summary(summary, out, format)
