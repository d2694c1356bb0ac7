"""The proof of each claim: one folder a study, `run.py` the one way to run them, `lib/` what they share."""
