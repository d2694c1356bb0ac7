"""A language model that marks spans as a reward source: every mark is a score of its span.

A mark costs its severity's weight times the critic's confidence, praise pays it, an omission costs its weight at the
whole answer; an answer in which nothing is marked has no score to pay and is scored all the same. What the critic could
not judge is Unscored, whatever the reason.
"""

import threading
from collections.abc import Sequence

import torch

from spanwise.core import ConfigError, DataError, numpy_generator
from spanwise.feedback import Density, PromptRecord, Sample, SegmentScore, SegmentScores, SpanMark, Unscored
from spanwise.llm import CallError, ChatReply, ChatRequest, Unusable
from spanwise.llm.critics import Critic, Critique
from spanwise.models import Policy, Sampling
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.text import Span, get_segmenter


class CriticReward:
    """The marks of `critic` that are of the source's categories; several sources may share one critic and its replies.

    Answers are judged side by side, as many as `endpoint.concurrency`. With a density of parts, each part of the answer
    is scored: 1, less what its worst mark costs twice over, so that a wholly wrong part has -1.
    """

    def __init__(self, name: str, config: SourceConfig, critic: Critic) -> None:
        self.name = name
        self.category = config.category or name
        self._parts = config.density if config.density != "sequence" else None
        self.density: Density = self._parts or "sub-sentence"
        self._counted = frozenset(config.categories)
        self._placebo = config.placebo
        self.critic = critic
        known = {*critic.config.errors, *critic.config.merits, *critic.config.omissions}
        if unknown := sorted(self._counted - known):
            raise ConfigError(f"sources.{name}.categories: the critic has no {unknown[0]!r}; it has {sorted(known)}.")

    @property
    def version(self) -> str:
        """Changes with the critic, with what counts, and with how."""
        how = [*sorted(self._counted), *([self._parts] if self._parts else []), *(["placebo"] if self._placebo else [])]
        return "-".join([self.critic.version, *how])

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The scores of each answer; a blank one has nothing to mark, and nobody is asked about it."""
        filled = [position for position, sample in enumerate(samples) if sample.response.strip()]
        scores = [SegmentScores()] * len(samples)
        for number, judged in self.critic.judge([samples[position] for position in filled]):
            position = filled[number]
            if isinstance(judged, Unusable):
                scores[position] = SegmentScores(missing=Unscored(f"the critic gave no marks ({judged.reason})"))
            else:
                response = samples[position].response
                given = self._scores(judged.value, response)
                scores[position] = SegmentScores(tuple(self._elsewhere(given, response) if self._placebo else given))
        return scores

    def _scores(self, critique: Critique, response: str) -> list[SegmentScore]:
        marks = [mark for mark in critique.marks if self._counts(mark.category)]
        if self._parts is not None:
            cut = get_segmenter(self._parts)(response)
            return [SegmentScore(part, self._value_of_part(part, marks)) for part in cut]
        whole = Span(0, len(response))
        omitted = [SegmentScore(whole, -1.0) for gap in critique.omissions if self._counts(gap.category)]
        return [*(SegmentScore(mark.span, self._value(mark)) for mark in marks), *omitted]

    def _elsewhere(self, scores: list[SegmentScore], response: str) -> list[SegmentScore]:
        """The same scores of spans as long at places that the answer alone decides; of parts, dealt out anew."""
        random = numpy_generator(0, f"placebo/{self.name}/{response}")
        if self._parts is not None:
            order = random.permutation(len(scores)).tolist()
            return [SegmentScore(score.span, scores[place].value) for score, place in zip(scores, order, strict=True)]
        starts = [int(random.integers(len(response) - len(score.span) + 1)) for score in scores]
        moved = [
            SegmentScore(Span(start, start + len(score.span)), score.value)
            for start, score in zip(starts, scores, strict=True)
        ]
        return sorted(moved, key=lambda score: score.span)

    def _value_of_part(self, part: Span, marks: Sequence[SpanMark]) -> float:
        """1 where nothing in it is blamed; praise is no more than that."""
        blamed = [-self._value(mark) for mark in marks if mark.blames and mark.span.overlap(part)]
        return 1.0 - 2.0 * max(blamed, default=0.0)

    def _value(self, mark: SpanMark) -> float:
        weight = 1.0 if mark.severity is None else self.critic.config.severity_weights[mark.severity]
        confidence = 1.0 if mark.confidence is None else mark.confidence
        return (-1.0 if mark.blames else 1.0) * weight * confidence

    def _counts(self, category: str) -> bool:
        return not self._counted or category in self._counted


class PolicyClient:
    """The policy as a chat model, as it stands when it is asked; one request at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._one_at_a_time = threading.Lock()

    def complete(self, request: ChatRequest) -> ChatReply:
        """Its likeliest reply, or one that is drawn from the request's seed where a temperature is set."""
        policy = self._policy
        turns = [{"role": "system", "content": request.system}] if request.system else []
        turns += [{"role": role, "content": text} for role, text in request.messages]
        try:
            asked = PromptRecord.model_validate({"prompt": turns})
            with self._one_at_a_time:
                prompts = policy.encode_prompts([asked])
                if not request.temperature:
                    answer = policy.greedy(prompts, request.max_tokens)
                else:
                    answer = policy.generate(
                        prompts,
                        sampling=Sampling(max_new_tokens=request.max_tokens, temperature=request.temperature),
                        generator=torch.Generator(policy.device).manual_seed(request.seed or 0),
                    )
        except DataError as error:
            raise CallError("prompt too long", str(error)) from error
        (ids,) = answer.token_lists()
        cut = bool(answer.truncated[0])
        return ChatReply(policy.decode(ids), "length" if cut else "stop", "policy", int(prompts.lengths[0]), len(ids))


class Critics:
    """Makes the critics of a config; equal ones are one, so that no reply is paid twice."""

    def __init__(self, policy: Policy | None = None) -> None:
        """`policy` is what a critic asks that is the policy itself."""
        self._policy = policy
        self._made: dict[str, Critic] = {}

    def source(self, name: str, config: SourceConfig) -> CriticReward:
        """The source that a config of this kind names; errors as in `make_critic`."""
        key = config.critic.model_dump_json() if config.critic else ""
        if key not in self._made:
            self._made[key] = make_critic(name, config, self._policy)
        return CriticReward(name, config, self._made[key])


def make_critic(name: str, config: SourceConfig, policy: Policy | None = None) -> Critic:
    """The critic that a source names; ConfigError for the policy itself where there is none, or one without turns."""
    assert config.critic is not None, "the config holds one for this kind"
    if config.critic.endpoint.provider != "policy":
        return Critic(config.critic)
    place = f"sources.{name}.critic.endpoint.provider"
    if policy is None:
        raise ConfigError(f"{place}: no policy is trained here that could criticise; name a model with local.")
    if not policy.form.takes_turns:
        raise ConfigError(f"{place}: the policy is no chat model, so it cannot be asked for a critique; name another.")
    return Critic(config.critic, client=PolicyClient(policy), forgets=True)
