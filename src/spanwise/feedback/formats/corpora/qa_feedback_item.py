"""The shape of one item of the QA-Feedback files (Wu et al. 2023), as its authors publish it.

Strict: another type, a missing or an unknown key is an error that names its field. This file knows nothing of
our records. Ids of passages and sentences count from 1 there; sentence 0 is the page title.
"""

import itertools
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from spanwise.feedback.problems import FieldError
from spanwise.feedback.record import storable
from spanwise.feedback.taxonomy import get_taxonomy
from spanwise.text import normalize_newlines

PREDICTIONS = ("prediction 1", "prediction 2", "prediction 3", "prediction 4")
PAIRS = tuple(itertools.combinations(range(4), 2))
"""The compared predictions, in the order of the field `preference`."""
WINNERS = ("tie", "first", "second")
"""What the numbers 0, 1 and 2 of the field `preference` say."""

_TAXONOMY = get_taxonomy("qa-feedback")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; an annotator cannot have judged it, remove the item")
    return text


def _span_category(name: str) -> str:
    return _known(name, [category.name for category in _TAXONOMY.span_categories])


def _missing_category(name: str) -> str:
    return _known(name, [category.name for category in _TAXONOMY.missing_categories])


def _known(name: str, names: list[str]) -> str:
    if name not in names:
        raise ValueError(f"{name!r:.60} is no error type here; it is one of {', '.join(names)}")
    return name


AnyText = Annotated[str, AfterValidator(storable)]
Filled = Annotated[str, AfterValidator(storable), AfterValidator(_not_blank)]
Winner = Annotated[int, Field(ge=0, le=2)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Error(_Strict):
    """A marked span of prediction 1."""

    category: Annotated[str, AfterValidator(_span_category)] = Field(alias="error type")
    explanation: AnyText
    start: int
    end: int


class WrongGrounding(_Strict):
    """The explanation of a `Wrong-Grounding` span: the sentences that it contradicts, as JSON in a string."""

    passage_id: int
    sentence_id: list[int]

    @classmethod
    def parse(cls, explanation: str) -> "WrongGrounding | None":
        """The sentences that an explanation names, or None where it is free text."""
        try:
            return cls.model_validate_json(explanation)
        except ValidationError:
            return None


class Missing(_Strict):
    """Missing information and the sentences that hold it."""

    category: Annotated[str, AfterValidator(_missing_category)] = Field(alias="error type")
    passage_id: int
    sentence_id: list[int]


class Feedback(_Strict):
    """What an annotator said about prediction 1."""

    errors: list[Error]
    missing: list[Missing] = Field(alias="missing-info")
    correction: AnyText = Field(alias="corrected-prediction")


class Item(_Strict):
    """One question with four predictions."""

    question: Filled
    passages: list[Annotated[list[AnyText], Field(min_length=1)]]
    gold: AnyText
    prediction_1: Filled = Field(alias="prediction 1")
    prediction_2: Filled = Field(alias="prediction 2")
    prediction_3: Filled = Field(alias="prediction 3")
    prediction_4: Filled = Field(alias="prediction 4")
    feedback: Feedback
    preference: list[Winner] = Field(min_length=6, max_length=6)

    @property
    def predictions(self) -> tuple[str, ...]:
        return (self.prediction_1, self.prediction_2, self.prediction_3, self.prediction_4)

    @model_validator(mode="after")
    def _inside(self) -> "Item":
        for index, error in enumerate(self.feedback.errors):
            self._check_error(error, f"feedback.errors.{index}")
        for index, missing in enumerate(self.feedback.missing):
            reason = self.beyond(missing)
            if reason:
                raise FieldError(f"feedback.missing-info.{index}", reason)
        return self

    def offsets(self, error: Error) -> tuple[int, int]:
        """Where the span lies once the line breaks of prediction 1 are LF."""
        text = self.prediction_1
        return len(normalize_newlines(text[: error.start])), len(normalize_newlines(text[: error.end]))

    def _check_error(self, error: Error, place: str) -> None:
        length = len(self.prediction_1)
        if not 0 <= error.start < error.end <= length:
            reason = f"[{error.start}, {error.end}) is no span of prediction 1 of {length} characters; correct it."
            raise FieldError(place, reason)
        start, end = self.offsets(error)
        if start == end:
            raise FieldError(place, "marks half a line break (LF of CR LF) and nothing else; correct it.")
        grounding = WrongGrounding.parse(error.explanation) if error.category == "Wrong-Grounding" else None
        reason = self.beyond(grounding) if grounding else None
        if reason:
            raise FieldError(f"{place}.explanation", reason)

    def beyond(self, named: "Missing | WrongGrounding") -> str | None:
        """Why the named passage or sentences are none of this item's, or None."""
        if not 1 <= named.passage_id <= len(self.passages):
            return f"names passage {named.passage_id} of {len(self.passages)} (counted from 1); correct the id."
        count = len(self.passages[named.passage_id - 1])
        bad = [number for number in named.sentence_id if not 0 <= number < count]
        return f"names sentence {bad[0]} of {count - 1} (0 is the title); correct the id." if bad else None


class Page(_Strict):
    """A passage as the files for supervised training hold it: its sentences in one text."""

    wikipage: AnyText
    content: AnyText


class Demonstration(_Strict):
    """One item of the files for supervised training."""

    question: Filled
    answer: list[Filled] = Field(min_length=1)
    text: AnyText
    """The ready-made model input: "question: Q context: wikipage: T text: ... | wikipage: T text: ..."."""
    passages: list[Page] | None = None

    @model_validator(mode="after")
    def _same_question(self) -> "Demonstration":
        if self.passages is None and not self.text.startswith(self._head()):
            raise FieldError("text", 'does not begin with "question: ... context: "; add passages or mend the text.')
        return self

    def pages(self) -> list[Page]:
        """The passages, from their field or out of the model input."""
        if self.passages is not None:
            return self.passages
        context = self.text.removeprefix(self._head()).removeprefix("wikipage: ")
        parts = (part.partition(" text: ") for part in context.split(" | wikipage: ") if part)
        return [Page(wikipage=title, content=content) for title, _, content in parts]

    def _head(self) -> str:
        return f"question: {self.question} context: "
