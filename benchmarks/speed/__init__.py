"""Speed benchmarks: scenelet compared with a usual pipeline of librosa and PyTorch, and with the machine's limits."""
