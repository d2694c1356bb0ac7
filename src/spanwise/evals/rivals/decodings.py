"""Answers of a policy under one decoding or several, what a reward says of them, and the best of n.

Knows nothing of where prompts come from or of how answers are judged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from spanwise.core import ConfigError, DataError
from spanwise.evals.rivals.config import DecodingConfig
from spanwise.feedback import DemonstrationRecord, PromptRecord, RewardSource, Sample
from spanwise.models import Answer, AnswerConfig, Policy, answer_all
from spanwise.rewards import Mixture, MixtureConfig, SourceWeight

Track = Callable[[Iterable[Answer], int, str], Iterable[Answer]]
"""Passes answers on and shows how many of how many are there, of what."""
Measure = Callable[[Sequence[PromptRecord], Sequence[Answer]], float]
"""How good answers are, the higher the better; `answers` may hold several to each of the prompts."""


def unwatched(answers: Iterable[Answer], total: int, title: str) -> Iterable[Answer]:  # noqa: ARG001
    """A Track that shows nothing."""
    return answers


@dataclass(frozen=True)
class AnswerReward:
    """The reward of whole answers: each source's scores weighed as in training, and summed."""

    sources: Sequence[RewardSource]
    mixture: MixtureConfig | None = None
    """None = every source with weight 1."""

    def __call__(self, samples: Sequence[Sample]) -> list[float | None]:
        """A number per sample; None where a source that counts could not score it."""
        if not samples:
            return []
        names = [source.name for source in self.sources]
        even = {name: SourceWeight(missing="mask") for name in names}
        mixture = Mixture(self.mixture or MixtureConfig(sources=even), names)
        scored = zip(*(source.score(samples) for source in self.sources), strict=True)
        return [mixture.mix(dict(zip(names, scores, strict=True))).total for scores in scored]

    def of(self, records: Sequence[PromptRecord], answers: Sequence[Answer]) -> list[float | None]:
        """A number per answer to `records`, in the order of `answers`."""
        return self(samples_of(records, answers))

    def mean(self, records: Sequence[PromptRecord], answers: Sequence[Answer]) -> float:
        """The mean over the answers that were scored; DataError where none was. A `Measure`."""
        known = [value for value in self.of(records, answers) if value is not None]
        if not known:
            raise DataError("No answer to a validation prompt could be scored; mend the reward models.")
        return sum(known) / len(known)


def samples_of(records: Sequence[PromptRecord], answers: Sequence[Answer]) -> list[Sample]:
    """What reward sources see of `answers`, which are of the prompts of `records`."""
    by_id = {record.id or str(number): record for number, record in enumerate(records)}
    return [Sample.of(by_id[answer.id], answer.response, truncated=answer.truncated) for answer in answers]


def answers_under(
    policy: Policy,
    records: Sequence[PromptRecord],
    decoding: DecodingConfig,
    config: AnswerConfig,
    *,
    reward: AnswerReward | None = None,
    track: Track = unwatched,
) -> list[Answer]:
    """Answers to `records` under `decoding`: one a prompt greedily, else `samples_per_prompt` of `config`.

    With `best_of` as many are drawn and one of every n is given. Raises ConfigError where that needs a `reward`.
    """
    asked = decoding.asked(config)
    total = len(records) * asked.samples_per_prompt
    answers = list(track(answer_all(policy, records, asked), total, decoding.title))
    if decoding.best_of == 1:
        return answers
    if reward is None:
        raise ConfigError("best_of takes the answer that a reward likes best; give reward models.")
    return best_of_n(answers, reward.of(records, answers), decoding.best_of)


def best_of_n(answers: Sequence[Answer], rewards: Sequence[float | None], n: int) -> list[Answer]:
    """Of every `n` answers to a prompt the one with the highest reward, as `best_places` has it."""
    return [answers[place] for place in best_places([answer.id for answer in answers], rewards, n)]


def best_places(prompts: Sequence[str], rewards: Sequence[float | None], n: int) -> list[int]:
    """The places of the answers with the highest reward, the first of equals, of every `n` to a prompt.

    It costs no further answer: 8 samples of a prompt give two answers that are the best of 4. One that could not be
    scored is taken only where none of its n could. Raises ConfigError where a prompt's answers are no multiple of n.
    """
    worth = [float("-inf") if reward is None else reward for reward in rewards]
    chosen: list[int] = []
    for prompt, own in groupby(range(len(prompts)), key=lambda place: prompts[place]):
        places = list(own)
        if len(places) % n:
            raise ConfigError(f"Prompt {prompt} has {len(places)} answers, no multiple of best_of ({n}); draw more.")
        groups = (places[start : start + n] for start in range(0, len(places), n))
        chosen += [max(group, key=lambda place: worth[place]) for group in groups]
    return chosen


def choose_temperature(
    policy: Policy,
    validation: Sequence[PromptRecord],
    temperatures: Sequence[float],
    config: AnswerConfig,
    *,
    measure: Measure,
    track: Track = unwatched,
) -> tuple[float, Mapping[float, float]]:
    """The temperature whose answers to `validation` measure best, the first of equals, and what each measured."""
    measured = {
        temperature: measure(
            validation, answers_under(policy, validation, DecodingConfig(temperature=temperature), config, track=track)
        )
        for temperature in temperatures
    }
    return max(measured, key=lambda temperature: measured[temperature]), measured


def liked_demonstrations(
    demonstrations: Sequence[DemonstrationRecord], reward: AnswerReward, share: float
) -> list[DemonstrationRecord]:
    """The `share` of the demonstrations with the highest reward, at least one, in their own order.

    Those that could not be scored are left out. Raises DataError where none could.
    """
    samples = [Sample.of(record, record.completion) for record in demonstrations]
    scored = [(value, -place) for place, value in enumerate(reward(samples)) if value is not None]
    if not scored:
        raise DataError("No demonstration could be scored by the reward models; mend them.")
    kept = sorted(scored, reverse=True)[: max(1, round(share * len(scored)))]
    return [demonstrations[place] for place in sorted(-place for _, place in kept)]
