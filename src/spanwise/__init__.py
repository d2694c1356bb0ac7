"""Spanwise: train language models from feedback on parts of their answers.

    import spanwise as sw
    records = sw.load_feedback("marks.jsonl")
    model = sw.RewardModel.train(records, "my/encoder", heads=("relevance", "factuality"))
    result = sw.train_policy(policy, model, prompts, heldout, weights={"relevance": 0.3}, run_dir="runs/rl")

These are the names for programs; `__init__.pyi` lists them. Each comes from a room, whose door offers more and whose
docstring says how to add to it. Importing this package loads no room: torch comes with the first name that needs it.
"""

from typing import Any

import lazy_loader

_offered, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Loads what a public name stands for; the version is the installed package's."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - takes longer than all else here

        return version(__name__)
    return _offered(name)
