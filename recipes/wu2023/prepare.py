"""Writes what the recipe's configs read, from the authors' files under their upstream names.

    python -m recipes.wu2023.prepare --data runs/wu2023/upstream --out runs/wu2023/data --policy google-t5/t5-large

A prompt that is longer than the paper's 1,024 tokens loses its last sentences, for the policy alone; the authors cut
the text in the middle of a word. Files may be compressed with gzip. Says what it cut.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from experiments.qa_feedback.data import in_sentences
from recipes.lib.upstream import found
from spanwise.core import DataError
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, Passage, PromptRecord, write_records
from spanwise.feedback.formats import import_demonstrations, load_feedback
from spanwise.setup import Lengths, examine_model

PromptT = TypeVar("PromptT", bound=PromptRecord)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the authors' files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--policy", required=True, help="the policy, whose tokenizer counts")
    parser.add_argument("--max-prompt-tokens", type=int, default=1024, help="longest prompt")
    options = parser.parse_args()
    prepare(options.data, options.out, policy=options.policy, max_prompt_tokens=options.max_prompt_tokens)


def prepare(data: Path, out: Path, *, policy: str, max_prompt_tokens: int) -> None:
    """Seven JSONL files in `out`; DataError that names an upstream file which is missing or damaged."""
    lengths = Lengths(examine_model(policy))

    def answered(name: str) -> list[DemonstrationRecord]:
        return [_within(record, lengths, max_prompt_tokens) for record in demonstrations(data, name)]

    train, train_1k, dev, test = (answered(name) for name in ("train.json", "train_1k.json", "dev.json", "test.json"))
    written: dict[str, Sequence[Any]] = {
        "demonstrations.jsonl": train_1k,
        "dev_demonstrations.jsonl": dev,
        "train_feedback.jsonl": feedback(data, "train_feedback.json"),
        "dev_feedback.jsonl": feedback(data, "dev_feedback.json"),
        "prompts.jsonl": _prompts(train),
        "dev_prompts.jsonl": _prompts(dev),
        "test_prompts.jsonl": _prompts(test),
    }
    for name, records in written.items():
        write_records(out / name, records)
        print(f"{out / name}: {len(records)} records")
    cut = sum(record.excerpt is not None for record in (*train, *dev, *test))
    print(f"{cut} of {len(train) + len(dev) + len(test)} prompts lost their last sentences.")


def feedback(data: Path, name: str) -> list[FeedbackRecord]:
    """The records of a `*_feedback.json` file."""
    return load_feedback(_path(data, name), "qa-feedback")


def demonstrations(data: Path, name: str) -> list[DemonstrationRecord]:
    """The questions of a file with their reference answers, passages cut into sentences."""
    read = import_demonstrations(_path(data, name))
    if read.problems:
        raise DataError(str(read.problems[0]))
    return [
        record.model_copy(update={"passages": tuple(map(in_sentences, record.passages))}) for record in read.records
    ]


def _path(data: Path, name: str) -> Path:
    path = found(data / name)
    if path is None:
        raise DataError(f"{data / name}: is not there; `python -m recipes.wu2023.fetch --out {data}` gets it.")
    return path


def _prompts(records: Iterable[DemonstrationRecord]) -> list[PromptRecord]:
    return [PromptRecord.model_validate(item.model_dump(exclude={"completion"})) for item in records]


def _within(record: PromptT, lengths: Lengths, most: int) -> PromptT:
    """The record, with an excerpt that leaves out last sentences where its prompt is longer than `most` tokens."""
    kept = list(record.passages)
    shortened = record
    while kept and lengths.prompt(shortened) > most:
        last = kept.pop()
        if len(last.sentences) > 1:
            kept.append(Passage(title=last.title, sentences=last.sentences[:-1]))
        shortened = record.model_copy(update={"excerpt": tuple(kept)})
    return shortened


if __name__ == "__main__":
    main()
