"""Experiments: tables of systems, `scenelet reproduce`, comparisons, and the demo."""
