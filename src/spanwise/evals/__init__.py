"""Evaluation: from answers and run folders to numbers with intervals, sentences and pages.

`statistics` computes, `rivals` answers under several decodings, `metrics` and `win_rate` judge answers,
`reward_models` judges reward models, `runs` reads run folders, `report` and `pages` show. A new metric goes to
`metrics`; its name and direction to `statistics.results`.
"""

__all__: list[str] = []
