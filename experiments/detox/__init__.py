"""The study `detox`."""
