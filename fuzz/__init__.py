"""Fuzz targets for every parser of files that strangers write."""
