"""What an annotator says about an item: the body of a submission, as the page sends it.

Responses are called by their position in the item ("r1", "r2", ...). Whether a body is right for its item is said
by `validation.py`; this file knows only its shape.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from spanwise.feedback import Evidence, Index, Record, Text

MAX_SPANS = 2000
MAX_TEXT = 200_000

Key = Annotated[str, StringConstraints(pattern=r"^r[1-9][0-9]{0,3}$")]
Short = Annotated[Text, Field(max_length=200)]
Comment = Annotated[Text, Field(max_length=10_000)]
Origin = Literal["human", "accepted", "modified", "imported", "model"]


def response_key(position: int) -> str:
    """The name of the response at `position`, from 0."""
    return f"r{position + 1}"


def response_position(key: str) -> int:
    """The position that a name such as "r1" means, from 0."""
    return int(key[1:]) - 1


class Antecedent(Record):
    """The earlier words that a repetition repeats; without offsets where they are not found in the response."""

    text: Text
    start: Index | None = None
    end: Index | None = None


class BodySpan(Record):
    """One marked span."""

    id: Short
    """Chosen by the page, unique within the body."""
    target: Key = "r1"
    start: Index
    end: Index
    quote: Text
    category: Text
    severity: Short | None = None
    comment: Comment = ""
    origin: Origin = "human"
    """Whether a person made it, took over a suggestion, or changed one."""
    suggestion_id: Short | None = None
    evidence: tuple[Evidence, ...] = ()
    antecedent: Antecedent | None = None


class BodyMissing(Record):
    """Something that a response leaves out, and where the passages say it, if they do."""

    target: Key = "r1"
    category: Text
    evidence: Evidence | None = None
    comment: Comment = ""


class BodyCorrection(Record):
    """A response after the annotator's edit."""

    target: Key = "r1"
    text: Annotated[Text, Field(max_length=MAX_TEXT)]
    reason: Comment = ""
    """Why the whole response was deleted, where it was."""


class BodyPreference(Record):
    """Which of two responses is better; `a` is the one that was shown first."""

    aspect: Short = "overall"
    a: Key
    b: Key
    choice: Literal["a", "b", "tie", "both_bad"]
    strength: Annotated[int, Field(ge=1, le=3)] | None = None


class BodyRanking(Record):
    """All responses by quality, best first; those of one tier are equal."""

    aspect: Short = "overall"
    tiers: tuple[tuple[Key, ...], ...]


class BodyAnswer(Record):
    """An answer to a question of the project."""

    key: Short
    value: Comment


class Body(Record):
    """All that one person says about one item."""

    no_errors: tuple[Key, ...] = ()
    """Responses that were looked at and found free of errors: an explicit answer, not an empty one."""
    spans: Annotated[tuple[BodySpan, ...], Field(max_length=MAX_SPANS)] = ()
    missing: Annotated[tuple[BodyMissing, ...], Field(max_length=MAX_SPANS)] = ()
    corrections: tuple[BodyCorrection, ...] = ()
    preferences: tuple[BodyPreference, ...] = ()
    rankings: tuple[BodyRanking, ...] = ()
    answers: tuple[BodyAnswer, ...] = ()
    comment: Comment = ""


class BodyProblem(Record):
    """What is wrong, or doubtful, with one place of a body."""

    place: str
    """Dotted path from the top of the body, for example "spans.3.quote"."""
    reason: str


class Draft(Record):
    """A saved draft; `document` is the page's, usually {"body": ..., "log": [...]}."""

    rev: int
    document: dict[str, Any]
    updated_at: str
    save_id: str | None = None
    """The page's name for the save that wrote this revision, where it gave one."""
