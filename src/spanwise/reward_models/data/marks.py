"""What polarity and severity of a mark mean to labels: praise is never wrong, a severity weighs what the config says.

What the config does not say is refused, with the line that would say it: praise taken for blame, or a slip taken for
a lie, would be learnt without a word. Works on records alone; knows nothing of tokens, models or torch.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import yaml

from spanwise.core import ConfigError
from spanwise.feedback import FeedbackRecord, SpanMark


@runtime_checkable
class MarkRule(Protocol):
    """What a config says of marks: a span rule of a head, or the config of token rewards."""

    @property
    def categories(self) -> tuple[str, ...]: ...
    @property
    def praise_categories(self) -> tuple[str, ...]: ...
    @property
    def severity_weights(self) -> dict[str, float]: ...


def weight(mark: SpanMark, rule: MarkRule) -> float:
    """How wrong the marked text is, from 0 to 1: wholly where no severity is told."""
    return 1.0 if mark.severity is None else rule.severity_weights.get(mark.severity, 1.0)


def check_marks(
    records: Sequence[FeedbackRecord], rules: Mapping[str, MarkRule], *, custom: Collection[str] = ()
) -> None:
    """Raises ConfigError where marks praise, or have a severity, and no rule says what that means.

    Rules stand under the name of their head, or under "" at the top of the config; those in `custom` stand below that
    key. A rule without categories means all of them where it stands at the top.
    """
    marks = list(_marks(records))
    known = {name for rule in rules.values() for name in rule.praise_categories}
    praise = Counter(mark.category for mark in marks if not mark.blames and mark.category not in known)
    if rules and praise:
        line = _line(next(iter(rules)), {"praise_categories": sorted(praise)}, custom)
        raise ConfigError(
            f"Marks of {_counted(praise)} praise, and the config does not say so; write `{line}` into it, so that what "
            "they cover is right, or leave these marks out of the data."
        )
    for head, rule in rules.items():
        used = (mark for mark in marks if mark.blames and (mark.category in rule.categories or _all(head, rule)))
        grades = Counter(mark.severity for mark in used if mark.severity is not None)
        missing = {grade: number for grade, number in grades.items() if grade not in rule.severity_weights}
        if missing:
            line = _line(head, {"severity_weights": {**rule.severity_weights, **dict.fromkeys(missing, 1.0)}}, custom)
            raise ConfigError(
                f"Marks have the severity {_counted(missing)}, of which the config does not say how much it weighs; "
                f"write `{line}` into it, with a weight from 0 to 1 for each."
            )


def _marks(records: Sequence[FeedbackRecord]) -> Iterator[SpanMark]:
    for record in records:
        for response in record.responses:
            yield from response.spans if response.marked else ()


def _all(head: str, rule: MarkRule) -> bool:
    return not head and not rule.categories


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number:,})" for name, number in numbers.items())


def _line(head: str, value: dict[str, Any], custom: Collection[str]) -> str:
    for key in (head, "custom" if head in custom else ""):
        value = {key: value} if key else value
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).strip()[1:-1]
