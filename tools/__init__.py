"""Release checks, and the figures of the documentation."""
