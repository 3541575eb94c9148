"""A submission to DCASE 2020 Task 1B: its two files, written and checked."""
