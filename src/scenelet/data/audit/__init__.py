"""Checks of labelled recordings: what `scenelet check` reports."""
