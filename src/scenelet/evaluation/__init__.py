"""Evaluation: metrics, intervals, `scenelet evaluate` and its pages."""
