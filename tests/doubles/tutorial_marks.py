"""The spreadsheet of the tutorial: answers of the packaged model, with marks in a reviewer's own words.

python tests/doubles/tutorial_marks.py docs/start/marks.csv
"""

import csv
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from spanwise.core import numpy_generator, torch_generator
from spanwise.feedback import Passage, PromptRecord
from spanwise.models import Policy, Sampling
from spanwise.sim import EXACT, SimItem, annotate, make_items, policy_checkpoint

COLUMNS = ("question", "context", "answer", "quotes", "category", "done")
QUESTIONS = 330
BATCH = 64
OFF_TOPIC, WRONG = "off topic", "wrong"
CATEGORIES = {"Irrelevant": OFF_TOPIC, "Redundant": OFF_TOPIC, "Incoherent": OFF_TOPIC}


def context_of(item: SimItem) -> str:
    """What stands in the column: passages without their titles, a line each."""
    return "\n".join(" ".join(passage.sentences) for passage in item.record.passages)


def sampled_answers() -> dict[str, str]:
    """An answer of the packaged model to each context, as it reads this spreadsheet; processors differ in it."""
    items = make_items(QUESTIONS, seed=0, split="tutorial")
    policy, generator = Policy.load(policy_checkpoint()), torch_generator(0, "tutorial")
    sampling = Sampling(temperature=1.0, max_new_tokens=110)
    answers: dict[str, str] = {}
    for start in range(0, QUESTIONS, BATCH):
        asked = items[start : start + BATCH]
        passages = [(Passage(title="", sentences=(context_of(item),)),) for item in asked]
        records = [
            PromptRecord(id=item.record.id, prompt=item.record.prompt, passages=found)
            for item, found in zip(asked, passages, strict=True)
        ]
        drawn = policy.generate(policy.encode_prompts(records), sampling=sampling, generator=generator)
        texts = [policy.decode(ids) for ids in drawn.token_lists()]
        answers |= {context_of(item): text for item, text in zip(asked, texts, strict=True)}
    return answers


def tutorial_csv(answers: Mapping[str, str]) -> str:
    """One row an answer, with the marks of an exact annotator; answers in which a quote stands twice are left out."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for item in make_items(QUESTIONS, seed=0, split="tutorial"):
        if (answer := answers.get(context_of(item))) is None:
            continue
        (response,) = annotate(item, [answer], numpy_generator(0, "tutorial"), EXACT).responses
        if all(response.text.count(mark.quote) == 1 for mark in response.spans):
            writer.writerow(
                {
                    "question": item.record.prompt,
                    "context": context_of(item),
                    "answer": answer,
                    "quotes": " | ".join(mark.quote for mark in response.spans),
                    "category": " | ".join(CATEGORIES.get(mark.category, WRONG) for mark in response.spans),
                    "done": "yes",
                }
            )
    return text.getvalue()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(tutorial_csv(sampled_answers()), encoding="utf-8")
