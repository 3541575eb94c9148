"""Compression: from a trained run to a `.scn` file. Needs PyTorch."""
