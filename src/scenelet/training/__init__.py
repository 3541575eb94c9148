"""Training: mixing, losses, schedules and the loop. Needs PyTorch: `pip install "scenelet[train]"`."""
