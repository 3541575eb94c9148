"""`scenelet cache`."""

from typing import Annotated

import typer

from scenelet.cli.options import QuietOption


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete everything that is not in use.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Show the cache folder and its sizes, or empty it.

    It holds features, statistics, compiled code and downloaded packages. All are made again when they are needed.
    """
    from scenelet.utils.cache import cache_folder, cache_sizes, clear_cache
    from scenelet.utils.console import print_warning

    root = cache_folder()
    if clear:
        for path in clear_cache(root):
            print_warning(f"{path}: is in use and was not deleted")
    sizes = cache_sizes(root)
    print(root)
    for kind, size in [*sizes.items(), ("all", sum(sizes.values()))]:
        print(f"{kind:<14}{size / 1e6:>12,.1f} MB")
