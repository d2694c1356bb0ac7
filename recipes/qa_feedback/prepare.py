"""Writes the files that the recipe's configs read: feedback, demonstrations and prompts as Spanwise JSONL.

    python recipes/qa_feedback/prepare.py --data ../shared/data/qa_feedback --out runs/qa_feedback/data

Passages can be shortened to the sentences nearest the question, and long answers left out, for policies with a short
window; without these options everything is kept. Says how many demonstrations it left out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from spanwise.feedback.jsonl import write_records
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.tasks.qa_feedback import load_demonstrations, load_feedback, shortened


def main() -> None:
    """Reads the authors' files and writes five JSONL files."""
    options = _options()
    every = load_demonstrations(options.data)
    kept = [item for item in every if options.answer_words is None or _words(item.completion) <= options.answer_words]
    if options.passage_words is not None:
        kept = [shortened(item, words=options.passage_words) for item in kept]
    training, heldout = kept[: -options.heldout], kept[-options.heldout :]
    write_records(options.out / "feedback.jsonl", load_feedback(options.data))
    write_records(options.out / "demonstrations.jsonl", training)
    write_records(options.out / "heldout_demonstrations.jsonl", heldout)
    write_records(options.out / "prompts.jsonl", _prompts(training))
    write_records(options.out / "heldout_prompts.jsonl", _prompts(heldout))
    left_out = len(every) - len(kept)
    print(
        f"{len(training)} demonstrations, {len(heldout)} held out; {left_out} left out for answers that are too long."
    )


def _prompts(records: Sequence[DemonstrationRecord]) -> list[PromptRecord]:
    return [PromptRecord.model_validate(item.model_dump(exclude={"completion"})) for item in records]


def _words(text: str) -> int:
    return len(text.split())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the authors' files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--passage-words", type=int, help="about so many words of passages per prompt")
    parser.add_argument("--answer-words", type=int, help="leave out demonstrations with longer answers")
    parser.add_argument("--heldout", type=int, default=50, help="demonstrations kept apart")
    return parser.parse_args()


if __name__ == "__main__":
    main()
