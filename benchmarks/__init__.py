"""Benchmarks: speed, robustness and quality. Not part of the package."""
