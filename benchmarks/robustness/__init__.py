"""Robustness benchmarks: crashes, full disks, malicious clients, damaged recordings."""
