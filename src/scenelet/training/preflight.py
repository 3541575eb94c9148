"""Checks of arguments before PyTorch is loaded, which takes seconds. Commands and library functions both run them."""

from pathlib import Path

from scenelet.config import RunConfig
from scenelet.config.run_folder import check_run_exists
from scenelet.errors import UsageError
from scenelet.training.ranks import Rank, find_rank


def check_batch_size(config: RunConfig) -> Rank:
    """Check that each device gets clips of every batch, and return the rank of this process.

    Raises:
        UsageError: there are more devices than clips in a batch, or as `scenelet.training.ranks.find_rank`.
    """
    trainer, batch = config.trainer, config.schedule.batch_size
    if trainer.world_size > batch:
        raise UsageError(
            f"trainer.devices x trainer.num_nodes is {trainer.world_size}, and schedule.batch_size {batch} leaves some"
            " without a clip; raise it, or use fewer devices"
        )
    return find_rank(trainer.devices, trainer.num_nodes)


def check_one_device(config: RunConfig, caller: str) -> None:
    """Check that the settings ask for one device; `caller` names what cannot use several.

    Raises:
        UsageError: the settings ask for several devices.
    """
    if config.trainer.world_size > 1:
        raise UsageError(
            f"{caller} trains on one device, and trainer.devices x trainer.num_nodes is {config.trainer.world_size};"
            " set both to 1, or use `scenelet train`"
        )


def check_compress_arguments(run: Path, out: Path) -> None:
    """Check the arguments of `compress`.

    Raises:
        UsageError: `out` is not the name of a model file.
        RunError: the run does not exist.
    """
    if out.suffix != ".scn":
        raise UsageError(f"{out}: a model file's name ends in .scn")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder; give the name of the file to write")
    check_run_exists(run)
