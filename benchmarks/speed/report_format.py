"""Formats of numbers and machines on the page of benchmarks."""

import statistics
from typing import Any

median = statistics.median


def spread(values: list[float], digits: int = 1) -> str:
    """Format the median with the minimum and the maximum.

    >>> spread([3.0, 1.0, 2.0])
    '2.0 (1.0-3.0)'
    """
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def round_down(value: float) -> str:
    """Format with two digits, rounded down.

    >>> round_down(2.999)
    '2.99'
    """
    return f"{int(value * 100) / 100:.2f}"


def show_run(run: dict[str, Any]) -> str:
    """Name the command and the machine of a run."""
    return f"`{run['command']}` on {show_machine(run['machine'])}"


def show_machine(machine: dict[str, Any]) -> str:
    """Describe a machine and its packages."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    cores = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}"
    return f"{cores}; Python {machine['python']}, {packages}"
