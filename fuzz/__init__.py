"""Fuzz targets for every parser of files from unknown sources."""
