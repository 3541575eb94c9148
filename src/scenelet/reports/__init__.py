"""What was measured, as files and tables for people."""
