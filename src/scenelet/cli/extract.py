"""`scenelet extract`."""

from typing import Annotated

import typer

from scenelet.cli.bulk_job import discard_stdout, print_summary
from scenelet.cli.completion import models
from scenelet.cli.options import (
    ChangeOption,
    Engine,
    EngineOption,
    ProtocolOption,
    QuietOption,
    RecipeOption,
    RetryErrorsOption,
    RowFormat,
    RowFormatOption,
    ShardSizeOption,
    WorkersOption,
)
from scenelet.errors import UsageError


def extract(
    manifest: Annotated[str, typer.Argument(help="CSV or Parquet list of paths or URLs, or a folder of recordings.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the Parquet files.")],
    model: Annotated[str | None, typer.Option(help="Use the features of this model.", autocompletion=models)] = None,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Write what the last layer of --model reads, in place of log-mel.")
    ] = False,
    recipe: RecipeOption = None,
    change: ChangeOption = None,
    engine: EngineOption = None,
    workers: WorkersOption = None,
    shard_size: ShardSizeOption = None,
    retry_errors: RetryErrorsOption = False,
    protocol: ProtocolOption = None,
    format: RowFormatOption = RowFormat.table,
    quiet: QuietOption = False,
) -> None:
    """Compute the log-mel features or embeddings of many recordings."""
    from scenelet.bulk.run import Options, embed
    from scenelet.bulk.run import extract as compute_all
    from scenelet.config.recipes import load_recipe

    options = Options(
        engine=(engine or Engine.local).value,
        workers=workers,
        shard_size=shard_size,
        retry_errors=retry_errors,
        protocols=protocol or (),
    )
    if embeddings and model is None:
        raise UsageError("--embeddings are those of a network; name its file with --model")
    if model is not None and (recipe is not None or change):
        raise UsageError("give --model, or --recipe and --set, not both")
    if embeddings and model is not None:
        with discard_stdout():
            summary = embed(model, manifest, out, **options)
        print_summary(summary, out, format)
        return
    if model is not None:
        from scenelet.model.file import read_model
        from scenelet.model.pretrained import model_path

        read = read_model(model_path(model))
        config, window = read.features, read.window
    else:
        settings = load_recipe(recipe or "default", change or [])
        config, window = settings.features, settings.window
    with discard_stdout():
        summary = compute_all(config, window, manifest, out, **options)
    print_summary(summary, out, format)
