"""Submissions to DCASE Task 1, 2020 to 2024: write and validate their files."""
