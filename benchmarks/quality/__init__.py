"""Quality benchmarks: what a model or a check finds in real and synthetic recordings."""
