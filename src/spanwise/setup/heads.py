"""Which heads a reward model gets from a file of feedback: one for each category that has enough marks to learn from.

The categories are the file's own. Knows nothing of models.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from spanwise.feedback import FeedbackRecord, Response, SpanMark, get_taxonomy
from spanwise.reward_models import HEADS, RewardModelConfig
from spanwise.reward_models.data import label_records
from spanwise.rl import RESERVED_NAMES
from spanwise.setup.material import marks_of
from spanwise.text import get_segmenter

FEWEST_MARKS = 5
"""A category with fewer marks has no head of its own: nothing could be learned from it."""
FEWEST_PAIRS = 10
MOST_HEADS = 12
SEVERITIES = {
    "neutral": 0.0, "trivial": 0.1, "minor": 0.25, "low": 0.25, "mild": 0.25, "moderate": 0.5, "medium": 0.5,
    "major": 1.0, "high": 1.0, "severe": 1.0, "critical": 1.0,
}  # fmt: skip
"""How wrong the usual words for severities make a segment; a word that is not here counts in full."""


@dataclass(frozen=True)
class Heads:
    """The part of a reward model's config that names heads; empty where nothing but edits can teach."""

    settings: dict[str, Any]
    """heads, custom, and what else differs from the defaults."""
    said: list[str] = field(default_factory=list[str])
    """What was decided and why, in sentences."""
    usual: dict[str, float] = field(default_factory=dict[str, float])
    """By name of a head that judges parts of answers: the mean of its scores over the marked answers, from -1 (all
    wrong) to 1, which is told from its labels."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads."""
        return tuple(self.settings.get("heads", ()))

    @property
    def segment_names(self) -> tuple[str, ...]:
        """Those that judge parts of answers."""
        return tuple(name for name in self.names if name not in ("completeness", "preference"))


def choose_heads(records: Sequence[FeedbackRecord]) -> Heads:
    """Heads for the training records; a head whose labels are all alike is left out and said."""
    marks = list(marks_of(records))
    said: list[str] = []
    settings = _of_marks(marks, said)
    names = [*settings.get("heads", ())]
    decided = sum(p.winner != "tie" for record in records for p in record.preferences)
    if decided >= FEWEST_PAIRS:
        names.append("preference")
    missing = sum(bool(response.missing) for record in records for response in record.responses)
    if missing >= FEWEST_MARKS:
        names.append("completeness")
    return _that_can_learn({**settings, "heads": names}, records, said)


def _of_marks(marks: Sequence[tuple[Response, SpanMark]], said: list[str]) -> dict[str, Any]:
    blamed = Counter(mark.category for _, mark in marks if mark.blames)
    praised = sorted({mark.category for _, mark in marks if not mark.blames} - set(blamed))
    if not blamed:
        return {}
    severities = sorted({mark.severity for _, mark in marks if mark.severity is not None})
    weights = {word: SEVERITIES.get(word.lower(), 1.0) for word in severities}
    extra = ({"praise_categories": praised} if praised else {}) | ({"severity_weights": weights} if weights else {})
    taxonomy = get_taxonomy("qa-feedback")
    if set(blamed) <= {category.name for category in taxonomy.span_categories}:
        groups = ("relevance", "factuality")
        names = [group for group in groups if blamed.keys() & set(taxonomy.names(group))]
        return {"heads": names} | ({name: dict(extra) for name in names} if extra else {})
    density = _density([(response, mark) for response, mark in marks if mark.blames])
    rules = {
        name: {"density": density, "categories": categories, **extra} for name, categories in _grouped(blamed, said)
    }
    return {"heads": list(rules), "custom": rules}


def _grouped(blamed: Counter[str], said: list[str]) -> list[tuple[str, list[str]]]:
    """A head's name for each category, and one for those that have too few marks for a head of their own."""
    own = [category for category, number in blamed.most_common(MOST_HEADS) if number >= FEWEST_MARKS]
    rest = sorted(set(blamed) - set(own))
    heads: list[tuple[str, list[str]]] = []
    for category in own:
        heads.append((_name(category, {name for name, _ in heads}), [category]))
    if not rest:
        return heads
    number = sum(blamed[category] for category in rest)
    if number >= FEWEST_MARKS or not heads:
        heads.append((_name("other" if heads else "errors", {name for name, _ in heads}), rest))
        said.append(
            f"{', '.join(rest)}: too few marks for a head of their own ({number} together), so one head learns them."
        )
    else:
        said.append(f"{', '.join(rest)}: {number} marks are too few to learn from, so no head does; they stay in data.")
    return heads


def _name(category: str, taken: set[str]) -> str:
    """A name for configs and logs: the category in small letters, unlike a head that has another meaning."""
    name = re.sub(r"\W+", "_", category.lower()).strip("_") or "category"
    name = f"{name}_marks" if name in (*HEADS, *RESERVED_NAMES) else name
    return name if name not in taken else next(f"{name}_{n}" for n in range(2, 1000) if f"{name}_{n}" not in taken)


def _density(marks: Sequence[tuple[Response, SpanMark]]) -> str:
    """The unit that people marked: sentences where the usual mark covers at least half of the one that it begins in."""
    sentences = get_segmenter("sentence")
    shares: list[float] = []
    for response, mark in marks:
        sentence = next((s for s in sentences(response.text) if s.start <= mark.start < s.end), None)
        shares.append(1.0 if sentence is None else min(1.0, (mark.end - mark.start) / max(1, len(sentence))))
    return "sentence" if median(shares) >= 0.5 else "sub-sentence"


def _that_can_learn(settings: dict[str, Any], records: Sequence[FeedbackRecord], said: list[str]) -> Heads:
    """The heads whose labels differ; training would refuse the others."""
    if not settings["heads"]:
        return Heads({}, said)
    config = RewardModelConfig.from_values(settings, place="init")
    labels, _ = label_records(
        records,
        spans=config.span_rules,
        completeness=config.completeness if "completeness" in config.heads else None,
        preference="preference" in config.heads,
    )
    kept: list[str] = []
    usual: dict[str, float] = {}
    for name in config.heads:
        found = [s.correct for item in labels for segments in item.segments.get(name, {}).values() for s in segments]
        values = [float(value) for value in found if value is not None]
        pairs = any(item.pairs.get(name) for item in labels)
        if pairs or len(set(values)) > 1:
            kept.append(name)
            usual |= {name: 2 * sum(values) / len(values) - 1} if values else {}
        else:
            said.append(f"{name}: its labels are all alike, so there is nothing to learn, and it has no head.")
    custom = {name: rule for name, rule in settings.get("custom", {}).items() if name in kept}
    others = {key: value for key, value in settings.items() if key in kept}
    settings = {"heads": kept, **others, **({"custom": custom} if custom else {})} if kept else {}
    return Heads(settings, said, usual)
