"""Settings of a trade-off in the simulated world: one PPO arm per setting, and the oracle's scores of any policy.

Used by `spanwise sweep` with `sim`, and by the customisation experiment for every kind of policy it compares.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from spanwise.evals.rivals import GREEDY
from spanwise.evals.runs import RunScores, ShownAnswer
from spanwise.evals.statistics import ExampleAnswer, ExampleSpan
from spanwise.models import Policy
from spanwise.quickstart import FINE_GRAINED_HEADS, SIM_METRICS, Answers, answer_items, score_answers
from spanwise.rl.runtime import ProgressView
from spanwise.sim import SimItem, judge
from spanwise.sweeps.config import Say, SweepConfig, check_sources
from spanwise.sweeps.sim_start import SimStart, TrainingPlan, make_start


class SimSettings:
    """Runs settings of a sweep over the weights of the study's fine-grained arm."""

    def __init__(
        self, config: SweepConfig, watch: Callable[[int], AbstractContextManager[ProgressView]], *, say: Say
    ) -> None:
        if config.sim is None:
            raise ValueError("a sweep in the simulated world needs sim")
        check_sources(config.points(), FINE_GRAINED_HEADS, str(config.run_dir))
        self.config = config
        self.sim = config.sim
        self.plan = TrainingPlan(watch=watch)
        self.say = say
        self._start: SimStart | None = None

    def run(self, weights: Mapping[str, float], seed: int, folder: Path) -> RunScores:
        """Trains with these weights and has the oracle judge the answers to the test items."""
        start = self._start_of(seed)
        start.train(folder, start.rewards.sources(), start.reweighted(weights), plan=self.plan)
        policy = Policy.load(folder / "checkpoints" / self.config.measured_policy)
        return oracle_scores(policy, Policy.load(start.reference), start, shown=self.config.example_prompts)

    def start(self, seed: int) -> RunScores:
        """What the oracle says of the SFT policy."""
        start = self._start_of(seed)
        policy = Policy.load(start.reference)
        return oracle_scores(policy, policy, start, shown=0)

    def _start_of(self, seed: int) -> SimStart:
        """Seeds come one after the other, so that one start is held at a time."""
        if self._start is None or self._start.seed != seed:
            self._start = make_start(self.sim, seed, self.config.run_dir, say=self.say)
        return self._start


def oracle_scores(
    policy: Policy, reference: Policy, start: SimStart, *, shown: int, asked: Sequence[SimItem] = ()
) -> RunScores:
    """The oracle's metrics of the policy's sampled and greedy answers to the test items; `asked` are these in other
    words.
    """
    items, config = start.test_items(), start.config
    sampled, greedy = (
        answer_items(
            policy, reference, asked or items, sampling=config.sampling, seed=start.seed,
            samples=config.test_samples, greedy=likeliest,
        )
        for likeliest in (False, True)
    )  # fmt: skip
    return RunScores.of(
        score_answers(items, sampled, seed=start.seed),
        SIM_METRICS,
        answers=_shown(items, sampled, shown),
        decoding=f"temperature {config.sampling.temperature:g}",
        also={GREEDY: RunScores.of(score_answers(items, greedy, seed=start.seed), SIM_METRICS)},
    )


def _shown(items: Sequence[SimItem], answers: Answers, count: int) -> list[ShownAnswer]:
    """The first answer to each of the first items, with what the oracle marks in it.

    Of items that share a question it is the first.
    """
    answers_by_prompt: dict[str, ShownAnswer] = {}
    each = len(answers.texts) // len(items)
    for item, text, cut in list(zip(items, answers.texts[::each], answers.truncated[::each], strict=True))[:count]:
        judgement = judge(text, item.truth, truncated=cut)
        marks = [ExampleSpan(start=f.span.start, end=f.span.end, category=f.label) for f in judgement.errors]
        answer = ExampleAnswer(response=text, spans=tuple(marks), missing=judgement.missing, truncated=cut)
        shown = ShownAnswer(prompt=item.record.prompt, passages=item.record.passages, answer=answer)
        answers_by_prompt.setdefault(item.record.prompt, shown)
    return list(answers_by_prompt.values())
