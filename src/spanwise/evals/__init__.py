"""Evaluation: from answers and run folders to numbers with intervals, sentences and one HTML page.

Read `score_table.py`, `stats.py`, `results.py`, `words.py`, then `report.py`.
"""
