"""Which edit pairs are fit to be trained on, and why the others are not.

Every pair that is refused is counted and named; nothing is dropped in silence. Shares are of words and marks of
punctuation. A judge may be asked, in both orders, whether the edit is better. Knows nothing of models or files;
`fingerprints.py` tells whether the style of the editor alone gives the edit away.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from spanwise.core import Config
from spanwise.feedback.edits import EditPair
from spanwise.text import TextEdit, align_texts, align_tokens, words_of

Reason = Literal[
    "empty", "identical", "white space only", "rewrite", "over budget", "too many changes", "length",
    "cut by the window", "judge prefers the original", "judge undecided", "judge gave no answer",
]  # fmt: skip
"""Why a pair is refused; the first that holds is the one that is named."""

Verdict = Literal["first", "second", "tie"] | None
Judge = Callable[[EditPair, str, str], Verdict]
"""Asked which of two answers to the pair's prompt is better, in the order they are shown; None is no answer."""
Tokenize = Callable[[str], Sequence[int]]


class EditRules(Config):
    """What an edit must be to be trained on."""

    max_changed: float = Field(default=0.4, ge=0, le=1)
    """Share of the words that may change, of the original and of the edited text each."""
    rewrite_from: float = Field(default=0.7, ge=0, le=1)
    """Share of changed words from which on a pair is called a rewrite rather than over budget."""
    max_changes: int = Field(default=8, ge=1)
    """How many separate places may change."""
    min_length_ratio: float = Field(default=0.5, ge=0)
    """Words of the edited text divided by words of the original, at least."""
    max_length_ratio: float = Field(default=1.6, ge=0)
    """The same, at most; edits that only add are held to the budget alone."""
    window: int | None = Field(default=None, ge=1)
    """Tokens of the response that training reads; pairs with a change beyond are refused. Needs a tokenizer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A pair that is not fit, why, and the figure that says so."""

    pair: EditPair
    position: int
    reason: Reason
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Position in the file, id, reason and figure, for JSON output."""
        return {"position": self.position, "id": self.pair.id, "reason": self.reason, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Validation:
    """The pairs that are fit and the others with their reasons."""

    kept: list[EditPair]
    refused: list[Refusal]

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs each reason kept out, most frequent first."""
        return dict(Counter(refusal.reason for refusal in self.refused).most_common())


def validate_edits(
    pairs: Sequence[EditPair],
    rules: EditRules | None = None,
    *,
    tokenize: Tokenize | None = None,
    judge: Judge | None = None,
) -> Validation:
    """Sorts pairs into fit and refused; `tokenize` gives the ids of a response, for rules that name a window."""
    rules = rules or EditRules()
    aligned = [align_texts(pair.original, pair.edited) for pair in pairs]
    result = Validation([], [])
    for position, (pair, edit) in enumerate(zip(pairs, aligned, strict=True)):
        complaint = next(_complaints(pair, edit, rules, tokenize, judge), None)
        if complaint is None:
            result.kept.append(pair)
        else:
            result.refused.append(Refusal(pair, position, *complaint))
    return result


def _complaints(
    pair: EditPair, edit: TextEdit, rules: EditRules, tokenize: Tokenize | None, judge: Judge | None
) -> Iterator[tuple[Reason, str]]:
    yield from _of_texts(edit)
    yield from _of_size(edit, rules)
    if tokenize is not None and rules.window is not None:
        ids = align_tokens(tokenize(pair.original), tokenize(pair.edited))
        if ids.cut_by(rules.window):
            yield "cut by the window", f"changes reach beyond {rules.window} tokens"
    if judge is not None:
        yield from _of_judge(pair, judge)


def _of_texts(edit: TextEdit) -> Iterator[tuple[Reason, str]]:
    if not edit.edited.strip() or not edit.original.strip():
        yield "empty", "the edited text is blank" if edit.original.strip() else "the original is blank"
    if edit.original == edit.edited:
        yield "identical", ""
    if not any(edit.changed_words()):
        yield "white space only", ""


def _of_size(edit: TextEdit, rules: EditRules) -> Iterator[tuple[Reason, str]]:
    before, after = len(words_of(edit.original)), len(words_of(edit.edited))
    lost, new = edit.changed_words()
    changed = max(lost / max(before, 1), new / max(after, 1))
    if changed > rules.max_changed:
        yield "rewrite" if changed >= rules.rewrite_from else "over budget", f"{changed:.0%} of the words changed"
    if len(edit.changes) > rules.max_changes:
        yield "too many changes", f"{len(edit.changes)} places"
    ratio = after / max(before, 1)
    if ratio < rules.min_length_ratio or (ratio > rules.max_length_ratio and lost):
        yield "length", f"{ratio:.2f} times as long"


def _of_judge(pair: EditPair, judge: Judge) -> Iterator[tuple[Reason, str]]:
    """An edit is better only where the judge says so whichever of the two is shown first."""
    verdicts = judge(pair, pair.original, pair.edited), judge(pair, pair.edited, pair.original)
    if None in verdicts:
        yield "judge gave no answer", ""
    elif verdicts == ("first", "second"):
        yield "judge prefers the original", ""
    elif verdicts != ("second", "first"):
        yield "judge undecided", f"{verdicts[0]} then {verdicts[1]}"
