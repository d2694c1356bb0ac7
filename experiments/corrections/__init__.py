"""The study `corrections`."""
