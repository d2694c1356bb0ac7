"""Scorers: a whole text in, the probability of one attribute out (toxicity, say); the same for models and services."""
