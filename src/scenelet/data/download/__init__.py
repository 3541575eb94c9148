"""Downloads of public data sets: what `scenelet fetch` does."""
