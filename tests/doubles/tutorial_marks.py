"""The spreadsheet of the tutorial: answers of the simulated world with marks in a reviewer's own words.

python tests/doubles/tutorial_marks.py docs/start/marks.csv
"""

import csv
import sys
from io import StringIO
from pathlib import Path

from spanwise.core import numpy_generator
from spanwise.feedback import FeedbackRecord, Response
from spanwise.sim import CLEAN, EXACT, HABITS, annotate, make_items, write_answer

COLUMNS = ("question", "context", "answer", "quote", "category", "done")
OFF_TOPIC, WRONG = "off topic", "wrong"
CATEGORIES = {"Irrelevant": OFF_TOPIC, "Redundant": OFF_TOPIC, "Incoherent": OFF_TOPIC}


def tutorial_csv(questions: int = 66) -> str:
    """One row a quote, or one row for an answer without a mark."""
    generator = numpy_generator(0, "tutorial")
    items = make_items(questions, seed=0, split="tutorial")
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for index, item in enumerate(items):
        answer = write_answer(item.truth, generator, HABITS if index % 3 else CLEAN)
        record = annotate(item, [answer], generator, EXACT)
        (response,) = record.responses
        if all(response.text.count(mark.quote) == 1 for mark in response.spans):  # a quote has to say which is meant
            writer.writerows(_rows(record, response))
    return text.getvalue()


def _rows(record: FeedbackRecord, response: Response) -> list[dict[str, str]]:
    context = "\n".join(" ".join(passage.sentences) for passage in record.passages)
    row = {"question": record.prompt, "context": context, "answer": response.text, "done": "yes"}
    marks = [{"quote": mark.quote, "category": CATEGORIES.get(mark.category, WRONG)} for mark in response.spans]
    return [row | mark for mark in marks or [{"quote": "", "category": ""}]]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(tutorial_csv(), encoding="utf-8")
