"""The study `edits`."""
