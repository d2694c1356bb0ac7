"""What a run of an editor gave: how many pairs, what was refused and why, what it cost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spanwise.feedback import EditPair
from spanwise.feedback.statistics import Fingerprint, Refusal
from spanwise.llm.calls import Usage
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.editors.prompting import EditTask


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one response: a pair, or the reason why there is none that is fit."""

    task: EditTask
    pair: EditPair | None = None
    reason: str = ""
    detail: str = ""
    raw: str = ""

    def refused(self, refusal: Refusal | None) -> "Outcome":
        """The same after its pair was found unfit."""
        return self if refusal is None else replace(self, reason=refusal.reason, detail=refusal.detail)

    def as_row(self) -> dict[str, Any]:
        """The row of the file of refusals."""
        edited = self.pair.edited if self.pair else None
        return {"id": self.task.id, "reason": self.reason, "detail": self.detail, "raw": self.raw, "edited": edited}


@dataclass(frozen=True, slots=True)
class EditorReport:
    """The figures of a run; tokens and cost are those of all replies that the pairs rest on, old ones included."""

    output: str
    responses: int
    fit: int
    refused: dict[str, int]
    calls: int
    replies_from_before: int
    failed_calls: dict[str, int]
    input_tokens: int
    output_tokens: int
    cost: float | None
    fingerprint: Fingerprint | None

    @classmethod
    def of(
        cls, outcomes: Sequence[Outcome], usage: Usage, config: EditorConfig, style: Fingerprint | None
    ) -> "EditorReport":
        """The report of a run's outcomes."""
        reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason)
        return cls(
            output=str(config.output),
            responses=len(outcomes),
            fit=sum(not outcome.reason for outcome in outcomes),
            refused=dict(reasons.most_common()),
            calls=usage.asked,
            replies_from_before=usage.from_book,
            failed_calls=dict(usage.failures.most_common()),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=config.endpoint.cost(usage.input_tokens, usage.output_tokens),
            fingerprint=style,
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures, for JSON output."""
        names = [name for name in self.__slots__ if name != "fingerprint"]
        signs = self.fingerprint.as_dict() if self.fingerprint else None
        return {**{name: getattr(self, name) for name in names}, "fingerprint": signs}

    def lines(self) -> Iterator[str]:
        """The same in sentences."""
        yield f"Wrote {self.fit:,} fit edit pairs of {self.responses:,} responses to {self.output}."
        for reason, number in self.refused.items():
            yield f"  {number:,} refused: {reason}"
        cost = "" if self.cost is None else f", cost {self.cost:,.4f}"
        tokens = f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens{cost}"
        yield f"{self.calls:,} calls, {self.replies_from_before:,} replies from before; {tokens}."
        if self.fingerprint is not None and self.fingerprint.suspicious:
            areas = f"words {self.fingerprint.words:.2f}, style {self.fingerprint.style:.2f}"
            yield f"The editor's manner gives the edits away (area under the curve: {areas})."
