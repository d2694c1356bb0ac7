"""TRL's data sets: preferences, unpaired labels, and stepwise supervision; written only.

The prompt is the text that our policies read. Step texts keep the white space at their ends, so that they join to the
response: train with `step_separator=""`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spanwise.core import write_jsonl
from spanwise.feedback.formats.contract import Written
from spanwise.feedback.prompts import build_prompt
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.text import Span, get_segmenter

Row = dict[str, Any]
RowsOf = Callable[[FeedbackRecord], Iterator[Row | str]]
"""The rows of a record; a string is the reason why there is none."""


def write_preference(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per decided pair and per correction that changed something; `source` says which."""
    return _write(path, records, _preferences)


def write_unpaired(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked response; its label says that nobody found an error or a gap in it."""
    return _write(path, records, _unpaired)


def write_stepwise(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """One row per marked response: its sub-sentences, and whether no mark touches them."""
    return _write(path, records, _stepwise)


def _write(path: Path, records: Iterable[FeedbackRecord], rows_of: RowsOf) -> Written:
    left_out: Counter[str] = Counter()

    def rows() -> Iterator[Row]:
        for record in records:
            for row in rows_of(record):
                if isinstance(row, str):
                    left_out[row] += 1
                else:
                    yield row

    return Written(write_jsonl(path, rows()), dict(left_out))


def _preferences(record: FeedbackRecord) -> Iterator[Row | str]:
    prompt = build_prompt(record.prompt, record.passages)
    for preference in record.preferences:
        first, second = record.responses[preference.first].text, record.responses[preference.second].text
        if preference.winner == "tie":
            yield "ties"
        elif first == second:
            yield "pairs of equal texts"
        else:
            chosen, rejected = (first, second) if preference.winner == "first" else (second, first)
            yield {"prompt": prompt, "chosen": chosen, "rejected": rejected, "source": "preference"}
    for response in record.responses:
        if response.correction == response.text:
            yield "corrections that change nothing"
        elif response.correction is not None:
            pair = {"chosen": response.correction, "rejected": response.text}
            yield {"prompt": prompt, **pair, "source": "correction"}


def _unpaired(record: FeedbackRecord) -> Iterator[Row | str]:
    for response in record.responses:
        good = not response.spans and not response.missing
        row = {"prompt": build_prompt(record.prompt, record.passages), "completion": response.text, "label": good}
        yield row if response.marked else "responses that nobody marked"


def _stepwise(record: FeedbackRecord) -> Iterator[Row | str]:
    for response in record.responses:
        if not response.marked:
            yield "responses that nobody marked"
            continue
        segments = get_segmenter("sub-sentence")(response.text)
        yield {
            "prompt": build_prompt(record.prompt, record.passages),
            "completions": [segment.of(response.text) for segment in segments],
            "labels": [not _touched(segment, response) for segment in segments],
        }


def _touched(segment: Span, response: Response) -> bool:
    return any(segment.overlap(mark.span) for mark in response.spans)
