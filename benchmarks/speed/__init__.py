"""What scenelet takes, beside the pipeline people use today and what the machine can do; for `python -m benchmarks.speed`."""
