"""Benchmarks: speed, robustness and quality.

They are not part of the package. Run them from the root of a clone, for example `python -m benchmarks.speed --help`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # benchmarks use the tests' package `helpers`
