"""Robustness benchmarks: killed processes, full disks, malicious clients, damaged recordings."""
