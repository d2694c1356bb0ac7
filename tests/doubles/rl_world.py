"""A world small enough for RL tests: a policy over a dozen words and reward sources that follow a script."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from spanwise.core.runs import RunFolder
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.models.policy import Policy
from spanwise.rewards.config import MixtureConfig, SourceWeight
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.rl.algorithms.registry import make_algorithm
from spanwise.rl.algorithms.types import TrainingBatch
from spanwise.rl.config import TrainerConfig
from spanwise.rl.parts import TrainerParts
from spanwise.rl.trainer import Trainer
from spanwise.text.spans import Span

WORDS = ["good", "bad", "red", "blue", "one", "two", "fox", "owl", "sun", "sea", ".", ","]
SMALL = {
    "steps": 2,
    "value_warmup_steps": 0,
    "rollout": {"prompts_per_step": 4, "samples_per_prompt": 2},
    "sampling": {"max_new_tokens": 8},
    "policy_optimizer": {"learning_rate": 1e-2},
    "value_optimizer": {"learning_rate": 1e-2},
    "update": {"epochs": 2, "micro_batch_size": 3},
    "evaluation": {"every": 1, "max_prompts": 3, "logged_samples": 2},
}
PROMPTS = [PromptRecord(id=f"p{i}", prompt=f"{word} sun {word}" if i % 2 else word) for i, word in enumerate(WORDS[:8])]


def word_policy(seed: int = 0) -> Policy:
    """A Llama of one layer over WORDS, with weights that depend on the seed alone."""
    config = LlamaConfig(
        vocab_size=4 + len(WORDS),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Policy(LlamaForCausalLM(config), _tokenizer())


@dataclass(frozen=True)
class ScriptedSource:
    """A reward source whose scores are a function of the response text."""

    script: Callable[[str], SegmentScores]
    name: str = "script"
    category: str = "test"
    density: str = "token"
    version: str = "1"

    def score(self, samples):
        return [self.script(sample.response) for sample in samples]


def words_of(text: str) -> list[Span]:
    """The spans of the words of `text`."""
    spans, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        spans.append(Span(start, start + len(word)))
        start += len(word)
    return spans


def pay_each(text: str, *, word: str = "good") -> SegmentScores:
    """1 for every `word`, at that word."""
    return SegmentScores(tuple(SegmentScore(s, float(s.of(text) == word)) for s in words_of(text)))


def pay_at_end(text: str, *, word: str = "good") -> SegmentScores:
    """The number of `word`s, as one score of the whole text."""
    return (
        SegmentScores((SegmentScore(Span(0, len(text)), float(text.split().count(word))),)) if text else SegmentScores()
    )


def pipeline_of(*sources: ScriptedSource, weight: float = 1.0, missing: str = "raise") -> RewardPipeline:
    """A pipeline that pays what the sources say, times `weight`."""
    rule = SourceWeight(weight=weight, missing=missing)
    return RewardPipeline(list(sources), MixtureConfig(sources={source.name: rule for source in sources}))


def small_trainer(
    folder, *, pipeline=None, policy=None, prompts=PROMPTS, progress=None, processes=None, sampler=None, **settings
) -> Trainer:
    """A trainer on SMALL settings, each section overridden by `settings`."""
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in SMALL.items()}
    for name, value in settings.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    config = TrainerConfig.from_values(values, place="test")
    parts = TrainerParts(
        policy=policy or word_policy(),
        pipeline=pipeline or pipeline_of(ScriptedSource(pay_each)),
        prompts=prompts,
        heldout=PROMPTS[:3],
        algorithm=make_algorithm(config),
        sampler=sampler,
    )
    return Trainer(config, parts, RunFolder(folder), progress=progress, processes=processes)


def batch_of(trainer: Trainer, step: int = 1) -> TrainingBatch:
    """The responses of a step with their advantages."""
    experience = trainer.make_experience(trainer.rollout(step), kl_coef=0.1)
    return TrainingBatch.of(experience, trainer.parts.algorithm.advantages(experience))


def gradients(trainer: Trainer, batch: TrainingBatch) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Gradients of one minibatch, by parameter name, and its metrics."""
    models = {"policy": trainer.parts.policy.model, "value": trainer.value_model}
    metrics = trainer.updater.accumulate(batch)
    found = {f"{part}.{n}": p.grad.clone() for part, m in models.items() for n, p in m.named_parameters()}
    for model in models.values():
        model.zero_grad()
    return found, metrics


@functools.cache
def _tokenizer() -> PreTrainedTokenizerFast:
    names = ["<pad>", "<s>", "</s>", "<unk>", *WORDS]
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
