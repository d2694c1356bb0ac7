"""Edit pairs as the policy would have to write them: ids of prompt, original and edit, and which tokens changed.

The ids are those of the policy's own rule for responses, end token included, so that a changed token is a changed
action. What cannot be trained on is counted with its reason. Knows nothing of losses.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.feedback.edits import EditPair
from spanwise.feedback.prompts import build_prompt
from spanwise.models.policy import Policy
from spanwise.preference_tuning.config import DPOConfig
from spanwise.text.token_edits import TokenEdit, align_token_pairs


@dataclass(frozen=True, slots=True)
class PairExample:
    """An edit pair in tokens; the responses are `edit.original` and `edit.edited`."""

    prompt: tuple[int, ...]
    edit: TokenEdit

    def __len__(self) -> int:
        """Tokens of both sides, each with its prompt."""
        return 2 * len(self.prompt) + len(self.edit.original) + len(self.edit.edited)


def pair_examples(
    policy: Policy, pairs: Sequence[EditPair], config: DPOConfig
) -> tuple[list[PairExample], dict[str, int]]:
    """The pairs that can be trained on whole, and how many were left out for which reason."""
    counts: Counter[str] = Counter()
    prompts: list[tuple[int, ...]] = []
    sides: list[tuple[list[int], list[int]]] = []
    for pair in pairs:
        reason = _unfit(pair)
        prompt = policy.encode_prompt(build_prompt(pair.prompt, pair.passages))
        original, edited = (policy.encode_response(text.strip()) for text in (pair.original, pair.edited))
        reason = reason or _too_long(policy, prompt, max(len(original), len(edited)), config)
        if reason is None and original == edited:
            reason = "identical as tokens"
        if reason is not None:
            counts[reason] += 1
            continue
        prompts.append(tuple(prompt))
        sides.append((original, edited))
    edits = align_token_pairs(sides, eos=policy.eos_id, merge_gap=config.merge_gap, gap_anchor=config.gap_anchor)
    return [PairExample(*one) for one in zip(prompts, edits, strict=True)], dict(counts)


def _unfit(pair: EditPair) -> str | None:
    if not pair.prompt.strip():
        return "no prompt"
    if not pair.original.strip() or not pair.edited.strip():
        return "empty"
    return "identical" if pair.original.strip() == pair.edited.strip() else None


def _too_long(policy: Policy, prompt: Sequence[int], longest: int, config: DPOConfig) -> str | None:
    if len(prompt) > config.max_prompt_tokens:
        return "prompt longer than max_prompt_tokens"
    if longest > config.max_response_tokens:
        return "response longer than max_response_tokens"
    room = policy.room_for_prompt(longest)
    return "longer than the policy's window" if room is not None and len(prompt) > room else None
