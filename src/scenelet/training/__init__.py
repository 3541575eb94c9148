"""Training: from a data set to a run folder, and from there to a model file."""
