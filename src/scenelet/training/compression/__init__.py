"""Compression of a trained network to a small file: pruning, fine-tuning, tracing to nodes. Needs PyTorch."""
