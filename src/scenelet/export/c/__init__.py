"""Export of a model to a folder of C99 sources."""
