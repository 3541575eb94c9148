"""Experiments: tables of systems, `scenelet reproduce` and the demo."""
