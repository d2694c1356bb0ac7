"""The study `overoptimisation`."""
