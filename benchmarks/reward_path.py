"""Seconds per answer of the reward path: all sources from one forward pass, beside one pass for every source.

    python benchmarks/reward_path.py [--answers 32] [--sources 4] [--hidden 288] [--layers 6] [--json] [--record NAME]

Random reward models of the policy's size with heads per sub-sentence, per sentence and per answer judge answers of
made-up words; both ways end with token scores from the same pipeline. CPU seconds of one thread, the best of several
rounds in turn. The text side by itself is in `reward_text_path.py`.
"""

import argparse
import json
import sys
from typing import Any

import torch
from ppo_shape import Shape, make_tokenizer
from recorded import best, record
from rich.console import Console
from transformers import LlamaModel

from spanwise.feedback import PromptRecord, RewardSource, Sample
from spanwise.reward_models import HeadSpec
from spanwise.reward_models.network import SpanRewardModel, build_reward_model
from spanwise.rewards import LearnedRewards, MixtureConfig, RewardPipeline, SourceWeight
from spanwise.text import Span

KINDS = (("sub-sentence", "segment"), ("sentence", "segment"), ("sequence", "sequence"))


def heads(count: int) -> list[HeadSpec]:
    return [HeadSpec(f"head{i}", *KINDS[i % len(KINDS)]) for i in range(count)]


def make_model(shape: Shape, specs: list[HeadSpec]) -> SpanRewardModel:
    torch.manual_seed(0)
    backbone = LlamaModel(shape.config())
    return build_reward_model(backbone, specs, window=1024, generator=torch.Generator().manual_seed(0))


def answers(count: int, words: int) -> list[Sample]:
    """Answers of sentences of ten words with a comma in the middle."""
    generator = torch.Generator().manual_seed(1)
    found: list[Sample] = []
    for number in range(count):
        ids = torch.randint(4, 500, (words,), generator=generator).tolist()
        text = " ".join(
            f"t{id_}" + ("." if place % 10 == 9 else "," if place % 10 == 4 else "") for place, id_ in enumerate(ids)
        )
        found.append(Sample(PromptRecord(prompt=f"t{number + 4} t7").prompt, text))
    return found


def pipeline(sources: list[RewardSource]) -> RewardPipeline:
    return RewardPipeline(sources, MixtureConfig(sources={source.name: SourceWeight() for source in sources}))


def token_spans(sample: Sample) -> list[Span]:
    """A token per word."""
    spans, start = [], 0
    for word in sample.response.split():
        spans.append(Span(start, start + len(word)))
        start += len(word) + 1
    return spans


def measure(shape: Shape, *, count: int, sources: int, words: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    tokenizer, specs, samples = make_tokenizer(shape), heads(sources), answers(count, words)
    spans = [token_spans(sample) for sample in samples]

    def together() -> object:
        return pipeline(list(LearnedRewards(model, tokenizer).sources()))(samples, spans)

    def apart() -> object:
        return pipeline([LearnedRewards(one, tokenizer).sources()[0] for one in single])(samples, spans)

    model, single = make_model(shape, specs), [make_model(shape, [spec]) for spec in specs]
    seconds = best({"one pass": together, "a pass per source": apart}, rounds)
    per_answer = {name: value / count * 1e3 for name, value in seconds.items()}
    return {
        "answers": count,
        "sources": sources,
        "words": words,
        "ms_per_answer": per_answer,
        "ratio": per_answer["a pass per source"] / per_answer["one pass"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="NAME")
    numbers = {"answers": 32, "sources": 4, "words": 100, "rounds": 3, "hidden": 288, "layers": 6}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    shape = Shape(dtype="fp32", vocabulary=500, hidden=o.hidden, layers=o.layers)
    found = measure(shape, count=o.answers, sources=o.sources, words=o.words, rounds=o.rounds)
    if o.record:
        record(o.record, " ".join(["python", "benchmarks/reward_path.py", *sys.argv[1:]]), found)
    if o.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found["ms_per_answer"].items():
        Console().print(f"{name}: {value:.2f} ms per answer")


if __name__ == "__main__":
    main()
