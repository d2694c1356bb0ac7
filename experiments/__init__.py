"""Studies: one folder each, run by one command, never imported by the library."""
