"""Checks of labelled recordings, reported by `scenelet check`."""
