"""Quality benchmarks: what models and checks find in real and synthetic recordings."""
