"""The study `paper_defects`."""
