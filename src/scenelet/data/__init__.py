"""Labelled recordings: load, split, cache, audit, download, synthesize."""
