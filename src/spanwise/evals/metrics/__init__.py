"""Metrics of answers: overlap with references, BERTScore, perplexity, and one table for a file of answers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
