"""From folders and tables of recordings to checked, split and cached features."""
