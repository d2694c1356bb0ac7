"""Which steps a project has and with which settings: from what the data offers and what the model can hold.

Every value is one that a user may change later; what was decided for a reason is said in a sentence. Writes nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spanwise.core import DataError
from spanwise.feedback import DemonstrationRecord, PromptRecord, Record, pairs_of_corrections
from spanwise.setup.anatomy import Anatomy, Lengths
from spanwise.setup.heads import Heads, choose_heads
from spanwise.setup.material import Demonstrations, Material, demonstrations_of, prompts_of

FEWEST_DEMONSTRATIONS = 10
FEWEST_EDITS = 8
VALIDATION_PROMPTS = 16
LONGEST_ANSWER = 512
"""More new tokens are never planned; who wants longer answers raises sampling.max_new_tokens."""
SMALL = 50e6
"""Up to so many weights answers cost little, and RL learns from three times as many a step."""
RATES = ((SMALL, 3e-4, 3e-4), (1e9, 5e-5, 1e-5), (math.inf, 2e-5, 2e-6))
"""Up to so many weights: learning rates of SFT and of the policy in RL. Small models want higher ones."""
LORA_FROM = 2e9
"""From so many weights on, RL trains an adapter: all weights of policy and value model would need 32 bytes each."""

PromptT = TypeVar("PromptT", bound=PromptRecord)


@dataclass(frozen=True)
class Plan:
    """The records to write by file name, and the settings of each step by config name, in the order of the steps."""

    files: dict[str, Sequence[Record]]
    settings: dict[str, dict[str, Any]]
    heads: Heads
    said: list[str] = field(default_factory=list[str])

    @property
    def reads_edits(self) -> bool:
        """Whether the reward model is one of tokens, taught by edits."""
        return self.settings["reward.yaml"].get("kind") == "token"


def make_plan(material: Material, model: Anatomy, backbone: Anatomy) -> Plan:
    """A plan for these records; raises DataError where nothing can be learned from them or no prompt fits the model."""
    said: list[str] = []
    heads, pairs, heldout_pairs = choose_heads(material.training), [], []
    if not heads.names:
        pairs, heldout_pairs = (list(pairs_of_corrections(part)) for part in (material.training, material.heldout))
        if len(pairs) < FEWEST_EDITS or not heldout_pairs:
            raise DataError(_nothing_to_learn(heads))
        said.append(f"{len(pairs)} corrections and no marks to speak of: the reward model gives one reward per token.")
    sizes = _Sizes.of(material, model, said)
    files: dict[str, Sequence[Record]] = {
        "feedback.jsonl": material.training,
        "heldout_feedback.jsonl": material.heldout,
        "prompts.jsonl": sizes.prompts,
        "heldout_prompts.jsonl": sizes.heldout_prompts,
        "validation_prompts.jsonl": sizes.prompts[:VALIDATION_PROMPTS],
    }
    settings: dict[str, dict[str, Any]] = {}
    start = model.place
    if sizes.demonstrations:
        files |= {"demonstrations.jsonl": sizes.demonstrations, "heldout_demonstrations.jsonl": sizes.heldout_answers}
        settings["sft.yaml"] = _sft(model, sizes)
        start = "runs/sft/checkpoints/best"
    if pairs:
        files |= {"edits.jsonl": pairs, "heldout_edits.jsonl": heldout_pairs}
    settings["reward.yaml"] = _token_reward(backbone) if pairs else _segment_reward(backbone, heads)
    mixture = {"sources": _token_mixture(sizes) if pairs else _segment_mixture(heads)}
    settings["rl.yaml"] = _rl(model, sizes, start, mixture)
    settings["evaluate.yaml"] = _evaluate(sizes, start, mixture)
    return Plan(files, settings, heads, [*heads.said, *said])


@dataclass(frozen=True)
class _Sizes:
    """What fits the model's window, and how long it is in tokens."""

    prompts: list[PromptRecord]
    heldout_prompts: list[PromptRecord]
    demonstrations: list[DemonstrationRecord]
    heldout_answers: list[DemonstrationRecord]
    prompt_tokens: int
    completion_tokens: int
    new_tokens: int

    @classmethod
    def of(cls, material: Material, model: Anatomy, said: list[str]) -> "_Sizes":
        lengths = Lengths(model)
        window = model.window if model.window is not None and not model.is_encoder_decoder else None
        answers = [lengths.answer(r.text) for record in material.records for r in record.responses if r.text.strip()]
        new_tokens = _new_tokens(answers, window)
        room = math.inf if window is None else window - new_tokens
        prompts, heldout = (
            _fitting(prompts_of(part), lambda item: lengths.prompt(item) <= room, "prompts", said)
            for part in (material.training, material.heldout)
        )
        if not prompts or not heldout:
            raise DataError(
                f"{model.place}: no prompt of the {'held-out' if prompts else 'training'} part fits its window of "
                f"{model.window} tokens beside an answer of {new_tokens}; give a model with a longer window."
            )
        whole = math.inf if window is None else window

        def fits(item: DemonstrationRecord) -> bool:
            return lengths.prompt(item) + lengths.answer(item.completion) <= whole

        taught = [_fitting(part, fits, "demonstrations", said) for part in _demonstrations(material, model, said)]
        taught = _with_enough_heldout(*taught)
        completions = [lengths.answer(item.completion) for part in taught for item in part]
        asked = [lengths.prompt(item) for part in (prompts, heldout, *taught) for item in part]
        return cls(
            prompts, heldout, taught[0], taught[1], _rounded_up(max(asked)), _rounded_up(max(completions, default=8)),
            new_tokens,
        )  # fmt: skip


def _with_enough_heldout(
    training: list[DemonstrationRecord], heldout: list[DemonstrationRecord]
) -> list[list[DemonstrationRecord]]:
    """The same, with a tenth of all held out, at least two; none where none is left to learn from.

    What is moved over asks training questions: it chooses a checkpoint, and nothing is measured on it.
    """
    lacking = max(0, max(2, (len(training) + len(heldout)) // 10) - len(heldout))
    training, heldout = training[lacking:], [*heldout, *training[:lacking]]
    return [training, heldout] if training and heldout else [[], []]


def _new_tokens(answers: Sequence[int], window: int | None) -> int:
    """Room for nearly all answers of the data and a quarter more; at most half of the window."""
    usual = sorted(answers)[min(len(answers) - 1, int(0.95 * len(answers)))] if answers else 64
    most = LONGEST_ANSWER if window is None else min(LONGEST_ANSWER, window // 2)
    return max(8, min(_rounded_up(usual * 1.25), most))


def _rounded_up(tokens: float) -> int:
    return 8 * math.ceil(tokens / 8)


def _fitting(items: Iterable[PromptT], fits: Callable[[PromptT], bool], noun: str, said: list[str]) -> list[PromptT]:
    every = list(items)
    kept = [item for item in every if fits(item)]
    if len(kept) < len(every):
        said.append(f"{len(every) - len(kept)} of {len(every)} {noun} are left out: longer than the model's window.")
    return kept


def _demonstrations(material: Material, model: Anatomy, said: list[str]) -> list[list[DemonstrationRecord]]:
    """Training and held-out answers to imitate; none where the model is a chat model and nothing good is known."""
    parts = [demonstrations_of(part) for part in (material.training, material.heldout)]
    if sum(len(part.records) for part in parts) < FEWEST_DEMONSTRATIONS:
        if model.has_chat:
            said.append("Too few answers are known to be good, so there is no sft step: RL starts from the model.")
            return [[], []]
        parts = [demonstrations_of(part, any_answer=True) for part in (material.training, material.heldout)]
        said.append(
            "Too few answers are known to be good: sft imitates the answers as they stand, so that the policy answers "
            "as the marked ones were, and RL has something to mend."
        )
    said.append(f"sft learns from {_origins(parts[0])}.")
    return [part.records for part in parts]


def _origins(demonstrations: Demonstrations) -> str:
    return ", ".join(f"{number} {origin}" for origin, number in demonstrations.origins.items())


def _nothing_to_learn(heads: Heads) -> str:
    said = " ".join(heads.said)
    return (
        f"The file has no category with enough marks, fewer than {FEWEST_EDITS} corrections, and too few decided "
        f"preferences: nothing for a reward model to learn from. {said}".strip()
    )


def _rates(model: Anatomy) -> tuple[float, float]:
    return next((sft, rl) for most, sft, rl in RATES if model.parameters < most)


def _sft(model: Anatomy, sizes: _Sizes) -> dict[str, Any]:
    return {
        "policy": model.place,
        "demonstrations": "data/demonstrations.jsonl",
        "heldout": "data/heldout_demonstrations.jsonl",
        "run_dir": "runs/sft",
        "epochs": 3,
        "batch_size": min(16, max(4, len(sizes.demonstrations) // 8)),
        "learning_rate": _rates(model)[0],
        "max_prompt_tokens": sizes.prompt_tokens,
        "max_response_tokens": sizes.completion_tokens,
        "seed": 0,
    }


def _segment_reward(backbone: Anatomy, heads: Heads) -> dict[str, Any]:
    layers = {"layers": 4} if backbone.layers > 4 and not backbone.is_encoder_decoder else {}
    return {
        "backbone": backbone.place,
        "data": ["data/feedback.jsonl"],
        "test": ["data/heldout_feedback.jsonl"],
        "run_dir": "runs/reward",
        **heads.settings,
        "features": True,
        **layers,
        "fitting": {"method": "linear"},
        "seed": 0,
    }


def _token_reward(backbone: Anatomy) -> dict[str, Any]:
    return {
        "kind": "token",
        "backbone": backbone.place,
        "edits": ["data/edits.jsonl"],
        "heldout": ["data/heldout_edits.jsonl"],
        "run_dir": "runs/reward",
        "likelihoods": backbone.is_causal,
        "label_edits": True,
        "label_weight": 3.0,
        "loss": {"temperature": 3.0, "consistency": 1.0, "neutral": 1.0},
        "fitting": {"method": "linear"},
        "seed": 0,
    }


def _segment_mixture(heads: Heads) -> dict[str, Any]:
    """One more part that is as good as usual must pay nothing: uncentred, most parts pay, and answers grow.

    Dividing by their number does not mend that, for what was said before is paid when a policy decides to go on.
    """
    shared = {"weight": 1.0, "aggregate": "mean", "missing": "mask"}
    parts = {name: {**shared, "center": round(heads.usual.get(name, 0.0), 2)} for name in heads.segment_names}
    wholes = set(heads.names) - set(heads.segment_names)
    return parts | {name: {"weight": 0.3, "clip": 10.0, "missing": "mask"} for name in heads.names if name in wholes}


def _token_mixture(sizes: _Sizes) -> dict[str, Any]:
    length = float(max(1, sizes.new_tokens // 2))
    return {"token": {"weight": 2.0, "clip": 5.0, "aggregate": "fixed", "length": length, "missing": "mask"}}


def _rl(model: Anatomy, sizes: _Sizes, start: str, mixture: dict[str, Any]) -> dict[str, Any]:
    lora = {"lora": {"rank": 16, "alpha": 32}} if model.parameters >= LORA_FROM else {}
    rate = 1e-4 if lora else _rates(model)[1]
    is_small = model.parameters <= SMALL
    prompts, samples = min(12 if is_small else 8, len(sizes.prompts)), 8 if is_small else 4
    return {
        "policy": start,
        "prompts": "data/prompts.jsonl",
        "heldout": "data/heldout_prompts.jsonl",
        "run_dir": "runs/rl",
        "reward_models": {"marks": {"checkpoint": "runs/reward/checkpoints/best"}},
        "mixture": mixture,
        "steps": 20,
        **lora,
        "rollout": {
            "prompts_per_step": prompts,
            "samples_per_prompt": samples,
            "max_prompt_tokens": sizes.prompt_tokens,
        },
        "sampling": {"temperature": 1.0, "max_new_tokens": sizes.new_tokens},
        "kl": {"coef": 0.03},
        "update": {
            "epochs": 1 if is_small else 2,
            "minibatch_size": min(32 if is_small else 16, prompts * samples),
            "micro_batch_size": 8,
        },
        "policy_optimizer": {"learning_rate": rate},
        "value_optimizer": {"learning_rate": min(1e-3, 10 * rate)},
        "evaluation": {"every": 5, "max_prompts": 32, "logged_samples": 8},
        "seed": 0,
    }


def _evaluate(sizes: _Sizes, start: str, mixture: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompts": "data/heldout_prompts.jsonl",
        "policy": "runs/rl/checkpoints/best",
        "reward_models": ["runs/reward/checkpoints/best"],
        "mixture": mixture,
        "answering": {
            "decoding": "sample",
            "samples_per_prompt": 4,
            "max_prompt_tokens": sizes.prompt_tokens,
            "sampling": {"temperature": 1.0, "max_new_tokens": sizes.new_tokens},
        },
        "free_rivals": {
            "policy": start,
            "validation": "data/validation_prompts.jsonl",
            "temperatures": [0.7],
            "best_of": 4,
        },
        "output": "runs/evaluation",
        "seed": 0,
    }
