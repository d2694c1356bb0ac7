"""Writes the files that the recipe's configs read: feedback, demonstrations and prompts as Spanwise JSONL.

    python -m recipes.qa_feedback.prepare --data ../shared/data/qa_feedback --out runs/qa_feedback/data

Policies with a short window can be given an excerpt of the passages, the sentences nearest the question (reward models
still see whole passages), and be spared demonstrations that are still too long; without these options everything is
kept. Says how many it left out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from experiments.qa_feedback.data import load_demonstrations, load_feedback, shortened
from spanwise.feedback import DemonstrationRecord, PromptRecord, write_records


def main() -> None:
    """Reads the authors' files and writes five JSONL files."""
    options = _options()
    every = load_demonstrations(options.data)
    kept = every if options.passage_words is None else [shortened(item, words=options.passage_words) for item in every]
    if options.policy:
        kept = _fitting(kept, options.policy, options.window)
    training, heldout = kept[: -options.heldout], kept[-options.heldout :]
    write_records(options.out / "feedback.jsonl", load_feedback(options.data))
    write_records(options.out / "demonstrations.jsonl", training)
    write_records(options.out / "heldout_demonstrations.jsonl", heldout)
    write_records(options.out / "prompts.jsonl", _prompts(training))
    write_records(options.out / "heldout_prompts.jsonl", _prompts(heldout))
    left_out = len(every) - len(kept)
    print(f"{len(training)} demonstrations, {len(heldout)} held out; {left_out} left out as too long.")


def _prompts(records: Sequence[DemonstrationRecord]) -> list[PromptRecord]:
    return [PromptRecord.model_validate(item.model_dump(exclude={"completion"})) for item in records]


def _fitting(records: Sequence[DemonstrationRecord], policy: str, window: int) -> list[DemonstrationRecord]:
    tokenizer = AutoTokenizer.from_pretrained(policy)
    room = window - 4  # begin, end and the blank before the answer

    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    return [item for item in records if length(item.model_input) + length(item.completion) <= room]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the authors' files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--passage-words", type=int, help="excerpts of about so many words for the policy")
    parser.add_argument("--policy", help="leave out demonstrations that do not fit the window by this tokenizer")
    parser.add_argument("--window", type=int, default=512, help="tokens of prompt and answer together")
    parser.add_argument("--heldout", type=int, default=50, help="demonstrations kept apart")
    return parser.parse_args()


if __name__ == "__main__":
    main()
