"""Submissions to DCASE 2020 Task 1B: write and validate their two files."""
