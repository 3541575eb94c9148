"""Bulk work: archives of recordings to Parquet, on this machine or on a Ray cluster."""
