"""Bulk work: a manifest of recordings -> Parquet, on this machine or on a Ray cluster; cut short, it goes on."""
