"""Synthetic acoustic scenes, for the demo and for tests that need no download."""
