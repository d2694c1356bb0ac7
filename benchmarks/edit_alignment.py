"""Aligning edits: Python's difflib and ours on the same pairs, the blocks compared one by one.

    python benchmarks/edit_alignment.py [--data DIR] [--rounds N] [--json]

Both sides start from the same Python lists, of token ids (a byte-level BPE trained on the texts) or of words and marks
of punctuation, and end with the matching blocks of every pair. `difflib` is `SequenceMatcher(autojunk=False)`, `ours`
what training uses. Pairs: corrections of QA-Feedback, post-edited translations of mlqe-pe, and both joined into longer
texts, the longest edited by random changes. Times are CPU seconds of one thread, the best of several rounds in turn.
"""

import argparse
import gzip
import json
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from spanwise.text import Block, matching_blocks, words_of

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
Items = list[Any]
Pair = tuple[Items, Items]


@dataclass(frozen=True)
class Timing:
    """One set of pairs; microseconds of CPU per pair."""

    pairs: str
    items: str
    count: int
    length: float
    difflib: float
    ours: float
    same_blocks: bool

    @property
    def ratio(self) -> float:
        return self.difflib / self.ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds qa_feedback and mlqe_pe")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs; the best counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    sets = load(options.data)
    encode = tokenizer([text for pairs in sets.values() for pair in pairs for text in pair])
    rows: list[Timing] = []
    for name, pairs in sets.items():
        ids = [(encode(a), encode(b)) for a, b in pairs]
        words = [(words_of(a), words_of(b)) for a, b in pairs]
        rows.append(measure(name, "token ids", ids, options.rounds))
        rows.append(measure(name, "words", words, options.rounds))
    largest = very_long([(encode(a), encode(b)) for a, b in sets["corrections"]])
    result = {"100,000 tokens": largest}
    if options.json:
        print(json.dumps({**result, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}, indent=2))
    else:
        show(rows, result)


def load(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Pairs of (original, edited) by the name of their set."""
    with gzip.open(folder / "qa_feedback" / "dev_feedback.json.gz", "rt", encoding="utf-8") as stream:
        items = json.load(stream)
    corrections = [(item["prediction 1"], item["feedback"]["corrected-prediction"]) for item in items]
    post_edits: list[tuple[str, str]] = []
    for language in ("et", "ne", "ro"):
        with tarfile.open(folder / "mlqe_pe" / f"{language}-en-dev.tar.gz") as archive:
            sides = [read_lines(archive, f"{language}-en-dev/dev.{side}") for side in ("mt", "pe")]
        post_edits += list(zip(*sides, strict=True))
    return {
        "corrections": [pair for pair in corrections if pair[0] != pair[1]],
        "post-edits": [pair for pair in post_edits if pair[0] != pair[1]],
        "10 corrections joined": joined(corrections, 10),
        "50 post-edits joined": joined(post_edits, 50),
    }


def read_lines(archive: tarfile.TarFile, name: str) -> list[str]:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read().decode().strip("\n").split("\n")


def joined(pairs: Sequence[tuple[str, str]], size: int) -> list[tuple[str, str]]:
    groups = [pairs[start : start + size] for start in range(0, min(len(pairs), 20 * size), size)]
    return [(" ".join(a for a, _ in group), " ".join(b for _, b in group)) for group in groups]


def tokenizer(texts: list[str]) -> Callable[[str], list[int]]:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=16_000, initial_alphabet=alphabet, show_progress=False)
    )
    return lambda text: bpe.encode(text).ids


def measure(name: str, items: str, pairs: list[Pair], rounds: int) -> Timing:
    theirs = ours = float("inf")
    same = [matching_blocks(*pair)[0] for pair in pairs] == [from_difflib(*pair) for pair in pairs]
    for _ in range(rounds):
        theirs = min(theirs, seconds(lambda: [from_difflib(*pair) for pair in pairs]))
        ours = min(ours, seconds(lambda: [matching_blocks(*pair) for pair in pairs]))
    length = sum(len(a) + len(b) for a, b in pairs) / 2 / len(pairs)
    return Timing(name, items, len(pairs), length, 1e6 * theirs / len(pairs), 1e6 * ours / len(pairs), same)


def from_difflib(a: Items, b: Items) -> list[Block]:
    return [tuple(block) for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()[:-1]]


def very_long(pairs: list[Pair]) -> dict[str, float]:
    """Our seconds for texts of 100,000 tokens of which 5 % are changed, and the share of tokens that were matched."""
    generator = np.random.default_rng(0)
    flow = [id_ for pair in pairs * 3 for id_ in pair[0]][:100_000]
    other = [int(generator.integers(0, 16_000)) if generator.random() < 0.05 else id_ for id_ in flow]
    blocks: list[Block] = []
    took = seconds(lambda: blocks.extend(matching_blocks(flow, other)[0]))
    return {"seconds": took, "matched": sum(size for *_, size in blocks) / len(flow)}


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def show(rows: list[Timing], result: dict[str, Any]) -> None:
    table = Table(
        "pairs", "items", "number", "length", "difflib µs", "ours µs", "times as fast", "same blocks", box=None
    )
    for row in rows:
        numbers = [
            f"{row.count:,}",
            f"{row.length:,.0f}",
            f"{row.difflib:,.1f}",
            f"{row.ours:,.1f}",
            f"{row.ratio:.1f}",
        ]
        table.add_row(row.pairs, row.items, *numbers, "yes" if row.same_blocks else "NO")
    console = Console()
    console.print(table)
    for name, value in result.items():
        console.print(f"{name}: {value}", highlight=False)


if __name__ == "__main__":
    main()
