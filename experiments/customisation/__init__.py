"""The study `customisation`."""
