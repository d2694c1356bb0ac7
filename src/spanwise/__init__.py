"""Spanwise: train language models from feedback on parts of their answers."""
