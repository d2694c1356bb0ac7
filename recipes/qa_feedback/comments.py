"""Comments in words on the answers of QA-Feedback, written by rule from people's marks, and what they can still tell.

    python recipes/qa_feedback/comments.py [--names words] [--output runs/comments]

Writes `comments.jsonl`, to be read by `spanwise feedback comments`, and `people.jsonl`, the direct marks, for
`--against`. Prints what a reader who understands every comment and can do no more reaches against the direct marks: the
comment names the sentence ("The second sentence contradicts the sources."), so the reader marks the whole sentence, or
it names the words that the mark begins and ends with, which most often says all. Nothing of this asks a model.
"""

import argparse
from pathlib import Path
from typing import Literal

from spanwise.core import write_jsonl
from spanwise.feedback import FeedbackRecord, Response, SpanMark, mark, write_records
from spanwise.feedback.formats import read_feedback
from spanwise.feedback.statistics import compare_marks
from spanwise.text import Span, get_segmenter, words

Names = Literal["sentence", "words"]
SAYS = {
    "Irrelevant": "was not asked for",
    "Redundant": "says again what was said before",
    "Wrong-Grounding": "contradicts the sources",
    "Unverifiable": "is not in the sources",
    "Incoherent": "cannot be understood",
}
MISSES = {
    "Missing-Answer": "You left out an answer",
    "Missing-Major-Auxiliary": "You left out something that is needed to understand the answer",
    "Missing-Minor-Auxiliary": "You left out something that would help",
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def comment_on(response: Response, record: FeedbackRecord, names: Names) -> str:
    """What the marks of a response say, in words."""
    said = [f"{_place(one, response.text, names)} {SAYS.get(one.category, 'is wrong')}." for one in response.spans]
    for gap in response.missing:
        title = record.passages[gap.evidence.passage].title
        said.append(f"{MISSES.get(gap.category, 'You left something out')}, see {title}.")
    return " ".join(dict.fromkeys(said)) or "Nothing is wrong with this answer."


def understood(response: Response, names: Names) -> Response:
    """The marks that a perfect reader makes of the comment on a response."""
    spans = {
        (span, one.category): mark(response.text, span.start, span.end, one.category)
        for one in response.spans
        for span in _named(one, response.text, names)
    }
    return Response(text=response.text, marked=True, spans=tuple(spans.values()))


def _named(one: SpanMark, text: str, names: Names) -> list[Span]:
    """The spans that a comment names for a mark."""
    if names == "sentence":
        return [part for part in get_segmenter("sentence")(text) if part.overlap(one.span)]
    inside = [word for word in words(text) if word.overlap(one.span)]
    head, tail = (_run(text, inside[:2]), _run(text, inside[-2:])) if inside else (one.quote, one.quote)
    start = text.find(head)
    end = text.find(tail, start)
    return [Span(start, end + len(tail))] if 0 <= start <= end else []


def _run(text: str, part: list[Span]) -> str:
    return text[part[0].start : part[-1].end]


def _place(one: SpanMark, text: str, names: Names) -> str:
    if names == "words":
        inside = [word for word in words(text) if word.overlap(one.span)]
        return f'What begins with "{_run(text, inside[:2])}" and ends with "{_run(text, inside[-2:])}"'
    numbers = [n for n, part in enumerate(get_segmenter("sentence")(text)) if part.overlap(one.span)]
    named = " and the ".join(ORDINALS[n] if n < len(ORDINALS) else f"{n + 1}th" for n in numbers)
    return f"The {named} sentence"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/qa_feedback"))
    parser.add_argument("--output", type=Path, default=Path("runs/comments"))
    parser.add_argument("--names", choices=("sentence", "words"), default="sentence")
    options = parser.parse_args()
    records = read_feedback(options.data / "dev_feedback.json.gz", "qa-feedback").records
    people: list[FeedbackRecord] = []
    readers: list[FeedbackRecord] = []
    rows: list[dict[str, object]] = []
    for record in records:
        for number, response in enumerate(record.responses):
            if response.marked and response.text.strip():
                name = f"{record.id}-{number}"
                values = {"id": name, "prompt": record.prompt, "passages": record.passages}
                people.append(FeedbackRecord.model_validate(values | {"responses": (response,)}))
                readers.append(
                    FeedbackRecord.model_validate(values | {"responses": (understood(response, options.names),)})
                )
                passages = [passage.model_dump(mode="json") for passage in record.passages]
                words_of_it = {"response": response.text, "comment": comment_on(response, record, options.names)}
                rows.append({"id": name, "prompt": record.prompt, "passages": passages, **words_of_it})
    write_records(options.output / "people.jsonl", people)
    write_jsonl(options.output / "comments.jsonl", rows)
    print(f"{len(rows):,} comments in {options.output}. Example: {rows[0]['comment']}")
    for line in compare_marks(people, readers).lines():
        print(line)


if __name__ == "__main__":
    main()
