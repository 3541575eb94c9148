"""Long recordings to events with times: tables, labels for other programs, and a page with the day as a picture."""
