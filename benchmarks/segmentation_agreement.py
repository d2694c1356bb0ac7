"""How our sub-sentences agree with those that the authors of Fine-Grained RLHF made with spaCy, on 500 answers.

    python benchmarks/segmentation_agreement.py [--data DIR] [--json]

A boundary is a place inside an answer where a sub-sentence starts, told by how many visible characters stand before
it; the start of the answer is none. F1 is over all boundaries of the answers of a row (their sum, not a mean of
answers); sentence F1 is over those that follow neither a comma nor a semicolon, which the rule of the paper does not
decide but the splitter; `exact` counts the answers whose boundaries all agree. Nothing of ours was tuned on these
answers: the halves are for those who do. Other splitters are measured where they are installed.
"""

import argparse
import gzip
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spanwise.text import Span, partition, sentence_starts, sub_sentences_within

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "qa_feedback"
FULL_STOP = re.compile(r"[.!?][\"')\]]*\s+(?=[A-Z\"'(])")
SentenceStarts = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Agreement:
    """How one splitter agrees with the authors on some of the answers."""

    splitter: str
    answers: str
    authors: int
    ours: int
    shared: int
    f1: float
    sentence_f1: float
    exact: int
    microseconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the two QA-Feedback files")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not (options.data / "authors_subsentences_dev.jsonl.gz").exists():
        parser.error(f"{options.data} does not hold dev_feedback.json.gz and authors_subsentences_dev.jsonl.gz")
    answers, authors = load(options.data)
    rows = [row for name, starts in splitters().items() for row in measure(name, starts, answers, authors)]
    found = list(differences(answers, authors))
    if options.json:
        table = [asdict(row) for row in rows]
        print(json.dumps({"agreement": table, "differences": found}, ensure_ascii=False, indent=2))
    else:
        show(rows, found)


def load(folder: Path) -> tuple[list[str], list[set[int]]]:
    """The answers, and the authors' boundaries in each."""
    with gzip.open(folder / "dev_feedback.json.gz", "rt", encoding="utf-8") as stream:
        answers = [item["prediction 1"] for item in json.load(stream)]
    with gzip.open(folder / "authors_subsentences_dev.jsonl.gz", "rt", encoding="utf-8") as stream:
        authors = [authors_boundaries(json.loads(line)["text"]) for line in stream]
    return answers, authors


def authors_boundaries(words: list[str]) -> set[int]:
    """Each `</s>` among the words precedes a sub-sentence; the question stands before the first one."""
    boundaries: set[int] = set()
    visible = 0
    for word in words[words.index("</s>") :]:
        if word == "</s>":
            boundaries.add(visible)
        else:
            visible += len(word)
    return boundaries - {0}


def boundaries(text: str, segments: tuple[Span, ...]) -> dict[int, int]:
    """The boundaries inside a text, with their offsets in it."""
    return {len("".join(text[: span.start].split())): span.start for span in segments if text[: span.start].strip()}


def splitters() -> dict[str, SentenceStarts]:
    """Ways to find the starts of sentences: ours, a line of regular expression, and other libraries."""
    found: dict[str, SentenceStarts] = {
        "sentencex (ours)": sentence_starts.__wrapped__,
        "full stop, space, capital": lambda text: [0, *(match.end() for match in FULL_STOP.finditer(text))],
    }
    others = {"pysbd": with_pysbd, "syntok.segmenter": with_syntok, "blingfire": with_blingfire}
    for name, adapter in others.items():
        if find_spec(name.partition(".")[0]):
            found[name] = adapter(import_module(name))
    return found


def with_pysbd(pysbd: Any) -> SentenceStarts:
    splitter = pysbd.Segmenter(language="en", clean=False)
    return lambda text: starts_of(text, splitter.segment(text))


def with_syntok(syntok: Any) -> SentenceStarts:
    return lambda text: [sentence[0].offset for paragraph in syntok.analyze(text) for sentence in paragraph]


def with_blingfire(blingfire: Any) -> SentenceStarts:
    return lambda text: starts_of(text, blingfire.text_to_sentences(text).split("\n"))


def starts_of(text: str, sentences: list[str]) -> list[int]:
    """Where sentences that were given as strings start."""
    starts: list[int] = []
    position = 0
    for sentence in filter(None, map(str.strip, sentences)):
        starts.append(text.index(sentence, position))
        position = starts[-1] + len(sentence)
    return starts


def measure(name: str, starts: SentenceStarts, answers: list[str], authors: list[set[int]]) -> Iterator[Agreement]:
    """One row for all answers and one for each half."""
    began = time.thread_time()
    cut = [sub_sentences_within(text, partition(text, starts(text))) for text in answers]
    microseconds = (time.thread_time() - began) / len(answers) * 1e6
    ours = [set(boundaries(text, segments)) for text, segments in zip(answers, cut, strict=True)]
    visible = ["".join(text.split()) for text in answers]
    of_sentences = [
        [{at for at in side if text[at - 1] not in ",;"} for text, side in zip(visible, sides, strict=True)]
        for sides in (ours, authors)
    ]
    for half, step in (("all", slice(None)), ("even", slice(0, None, 2)), ("odd", slice(1, None, 2))):
        mine, theirs, shared = counts(ours[step], authors[step])
        mine_only, theirs_only, shared_only = counts(*(side[step] for side in of_sentences))
        yield Agreement(
            splitter=name,
            answers=half,
            authors=theirs,
            ours=mine,
            shared=shared,
            f1=2 * shared / (mine + theirs),
            sentence_f1=2 * shared_only / (mine_only + theirs_only),
            exact=sum(one == other for one, other in zip(ours[step], authors[step], strict=True)),
            microseconds=round(microseconds, 1),
        )


def counts(mine: list[set[int]], theirs: list[set[int]]) -> tuple[int, int, int]:
    """How many boundaries each side has, and how many both."""
    shared = sum(len(one & other) for one, other in zip(mine, theirs, strict=True))
    return sum(map(len, mine)), sum(map(len, theirs)), shared


def differences(answers: list[str], authors: list[set[int]]) -> Iterator[dict[str, Any]]:
    """Each boundary that only one side has, with the text around it; `|` is the boundary."""
    for index, (text, theirs) in enumerate(zip(answers, authors, strict=True)):
        words = boundaries(text, tuple(Span(*word.span()) for word in re.finditer(r"\S+", text)))
        mine = boundaries(text, sub_sentences_within(text, partition(text, sentence_starts(text))))
        for at in sorted(theirs ^ mine.keys()):
            start = (words | mine)[at]
            context = f"{text[max(0, start - 45) : start]}|{text[start : start + 30]}"
            yield {"answer": index, "only": "authors" if at in theirs else "ours", "around": context}


def show(rows: list[Agreement], found: list[dict[str, Any]]) -> None:
    table = Table(
        "splitter", "answers", "authors'", "ours", "shared", "F1", "sentence F1", "exact", "µs/answer", box=None
    )
    for row in rows:
        scores = (f"{row.f1:.4f}", f"{row.sentence_f1:.4f}", str(row.exact), str(row.microseconds))
        table.add_row(row.splitter, row.answers, str(row.authors), str(row.ours), str(row.shared), *scores)
    console = Console(width=140)
    console.print(table)
    console.print(f"\n{len(found)} boundaries that only one side has (sentencex):")
    for difference in found:
        console.print(f"{difference['answer']:4d} {difference['only']:8s} {difference['around']!r}", markup=False)


if __name__ == "__main__":
    main()
