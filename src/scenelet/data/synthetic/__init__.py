"""Synthetic acoustic scenes, for demos and tests."""
