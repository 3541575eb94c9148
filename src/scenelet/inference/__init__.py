"""Inference: from a `.scn` model and a recording to probabilities, offline and live, without PyTorch."""
