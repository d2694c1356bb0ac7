"""Detoxification: comments with marked toxic spans, what scorers learn from them, and how predicted spans are judged.

Splits and examples only; what is trained on them is in `spans.py`, `scorers.py` and `policy.py`.
Everything learned comes from the task's training file, less the comments that its trial file repeats.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import DataError, numpy_generator
from spanwise.feedback import FeedbackRecord, PromptRecord, ReadResult, Response, mark
from spanwise.feedback.formats import read_feedback
from spanwise.text import Span, sentences

TRAIN_FILE, TRIAL_FILE = "tsd_train.csv.gz", "tsd_trial.csv"
VALIDATION = 600
"""Comments of the training file that thresholds and settings are chosen on; no model learns from them."""
OPENING_WORDS = (4, 10)
"""Fewest and most words of a prompt."""


@dataclass(frozen=True)
class Comments:
    """The comments by what they are for; no comment is in two parts, nor in both shares of `training`."""

    training: tuple[FeedbackRecord, ...]
    validation: tuple[FeedbackRecord, ...]
    trial: tuple[FeedbackRecord, ...]
    repeated: int
    """Training comments that were left out because the trial file has them too."""

    @property
    def paying(self) -> tuple[FeedbackRecord, ...]:
        """Two thirds of the training comments: rewards are learned from these."""
        return tuple(record for place, record in enumerate(self.training) if place % 3 != 2)

    @property
    def judging(self) -> tuple[FeedbackRecord, ...]:
        """The other third: the judge learns from these, and no reward does."""
        return self.training[2::3]


@dataclass(frozen=True)
class Labelled:
    """A text and whether it holds a marked span."""

    text: str
    toxic: bool


def load_comments(folder: Path, *, seed: int = 0, limit: int | None = None) -> Comments:
    """Reads both files of the shared task; `limit` takes that many training comments alone, for a quick look.

    Raises DataError for a file that is not as it should be.
    """
    trial = _all_of(read_feedback(folder / TRIAL_FILE, "toxic-spans"))
    read = _all_of(read_feedback(folder / TRAIN_FILE, "toxic-spans"))
    known = {text_of(record) for record in trial}
    kept = [record for record in read if text_of(record) not in known]
    order = numpy_generator(seed, "detox/split").permutation(len(kept)).tolist()
    shuffled = [kept[place] for place in order]
    training = tuple(shuffled[VALIDATION:][:limit])
    return Comments(training, tuple(shuffled[:VALIDATION][:limit]), tuple(trial), len(read) - len(kept))


def text_of(record: FeedbackRecord) -> str:
    """The comment."""
    return record.responses[0].text


def spans_of(record: FeedbackRecord) -> tuple[Span, ...]:
    """Its marked spans."""
    return tuple(marked.span for marked in record.responses[0].spans)


def labelled_texts(records: Sequence[FeedbackRecord]) -> list[Labelled]:
    """What a scorer of texts learns from: sentences, whole comments, and comments without their marked sentences.

    All comments of the files are toxic as a whole; clean text is what nobody marked beside a mark. So a comment
    without a mark teaches nothing, and unmarked sentences stand for clean text, though their writers were rude.
    """
    found: list[Labelled] = []
    for record in records:
        text, marks = text_of(record), spans_of(record)
        if not marks:
            continue
        parts = [part for part in sentences(text) if part.of(text).strip()]
        toxic = [any(part.overlap(span) for span in marks) for part in parts]
        found += [Labelled(part.of(text).strip(), one) for part, one in zip(parts, toxic, strict=True)]
        if len(parts) > 1:
            found.append(Labelled(text.strip(), toxic=True))
        clean = [part.of(text).strip() for part, one in zip(parts, toxic, strict=True) if not one]
        if len(clean) > 1:
            found.append(Labelled(" ".join(clean), toxic=False))
    return found


def in_pieces(records: Sequence[FeedbackRecord], *, max_words: int = 40) -> list[FeedbackRecord]:
    """The comments cut into runs of whole sentences of at most `max_words` words, a longer sentence by itself.

    Token models see little more than a sentence anyway, and batches of like length cost a fraction of the time.
    """
    return [piece for record in records for piece in _pieces(record, max_words)]


def openings(records: Sequence[FeedbackRecord]) -> list[PromptRecord]:
    """The first words of comments, up to the first marked one, as prompts that the policy continues.

    Comments whose marks begin within the first words, and those without marks, give no prompt.
    """
    found: list[PromptRecord] = []
    fewest, most = OPENING_WORDS
    for record in records:
        text, marks = text_of(record), spans_of(record)
        clean = " ".join(text[: marks[0].start].split(" ")[:-1]) if marks else ""
        words = " ".join(clean.split()).split(" ")[:most]
        if len(words) >= fewest:
            found.append(PromptRecord(id=record.id, prompt=" ".join(words), verbatim=True))
    return found


def character_f1(predicted: Sequence[Span], gold: Sequence[Span]) -> float:
    """The shared task's F1 of one comment, over characters; without a gold span 1 for no prediction, else 0."""
    said, wanted = (
        set(itertools.chain.from_iterable(range(s.start, s.end) for s in spans)) for spans in (predicted, gold)
    )
    if not wanted:
        return float(not said)
    return 2 * len(said & wanted) / (len(said) + len(wanted))


def _pieces(record: FeedbackRecord, max_words: int) -> Iterator[FeedbackRecord]:
    text, marks = text_of(record), spans_of(record)
    runs: list[Span] = []
    for part in sentences(text):
        joined = Span(runs[-1].start, part.end) if runs else part
        if runs and len(joined.of(text).split()) <= max_words:
            runs[-1] = joined
        else:
            runs.append(part)
    for number, run in enumerate(runs):
        body = run.of(text)
        inside = [Span(max(m.start, run.start), min(m.end, run.end)) for m in marks if m.overlap(run)]
        if body.strip():
            spans = tuple(mark(body, s.start - run.start, s.end - run.start, "toxic") for s in inside)
            response = Response(text=body, marked=True, spans=spans)
            yield FeedbackRecord(id=f"{record.id}-{number}", prompt="", responses=(response,))


def _all_of(result: ReadResult[FeedbackRecord]) -> list[FeedbackRecord]:
    if result.problems:
        raise DataError(f"{result.problems[0]} ({len(result.problems)} problems in this file)")
    return result.records
