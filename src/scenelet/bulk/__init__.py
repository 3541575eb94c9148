"""Bulk jobs: archives of recordings to Parquet files, on this machine or on a Ray cluster."""
