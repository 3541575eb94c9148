"""The `.scn` model file: its operations, header, weights, sizes and costs."""
