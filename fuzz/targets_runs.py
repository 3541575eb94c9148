"""What runs, caches and bulk jobs remember: JSON, weights, checkpoints, Parquet parts."""

TARGETS = {}
