"""Inference package of a DCASE 2025 Task 1 submission: a Python package that evaluators install and call.

The interface is that of the challenge's own package, CPJKU/dcase2025_task1_inference.
"""
