"""The study of minutes in miniature: what minutes buy, how two rewards join, and a page made of the files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from experiments.lib.study import Place
from experiments.minutes.page import write_page
from experiments.minutes.seed import MinutesConfig, MinutesSeed, joined
from experiments.minutes.study import Minutes
from spanwise.core import DataError
from spanwise.feedback import Sample, SegmentScore, SegmentScores
from spanwise.quickstart import FINE_GRAINED, PREFERENCE
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight
from spanwise.text import Span

SMALL = MinutesConfig.model_validate(
    {
        "budgets": {"marks": [120], "preferences": [120], "edits": [120], "mixed": [240]},
        "world": {
            **MinutesConfig().world.model_dump(mode="json"),
            "rl_prompts": 8,
            "heldout_prompts": 4,
            "test_prompts": 8,
        },
        "token_fitting": {"method": "linear", "strengths": [1.0], "state_scales": [0.1]},
    }
)
WORLD = SMALL.world.model_copy(
    update={
        "fitting": SMALL.world.fitting.model_copy(update={"strengths": (0.1,), "state_scales": (0.1,)}),
        "sampling": SMALL.world.sampling.model_copy(update={"max_new_tokens": 64}),
        "trainer": SMALL.world.trainer.model_copy(
            update={
                "steps": 2,
                "value_warmup_steps": 1,
                "rollout": SMALL.world.trainer.rollout.model_copy(update={"prompts_per_step": 2}),
            }
        ),
    }
)
SMALL = SMALL.model_copy(update={"world": WORLD})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Minutes:
    """A finished study of one seed."""
    study = Minutes(SMALL, Place(tmp_path_factory.mktemp("minutes"), Path()))
    study.run_seed(3, lambda _: None)
    return study


def test_the_same_minutes_buy_as_many_answers_to_mark_as_prompts_to_compare(tmp_path: Path) -> None:
    part = MinutesSeed(SMALL, 3, tmp_path, say=lambda _: None)
    marked, compared = part.feedback_of(FINE_GRAINED, 120), part.feedback_of(PREFERENCE, 120)
    assert sum(len(record.responses) for record in marked) == 20
    assert len(compared) == 20
    assert {len(record.preferences) for record in compared} == {6}


def test_the_page_shows_every_part_and_says_that_one_seed_is_a_hint(study: Minutes, tmp_path: Path) -> None:
    assert study.finished(3)
    results = study.summarise([3], lambda _: None, command="a test")
    assert set(results.arms) == {
        "sft", "marks-120", "preferences-120", "edits-120", "mixed-240"
    }  # fmt: skip
    baselines = {(one.arm, one.baseline) for one in results.comparisons}
    assert ("marks-120", "preferences-120") in baselines
    assert ("mixed-240", "preferences-240") not in baselines
    write_page(results, SMALL, tmp_path / "minutes.md")
    page = (tmp_path / "minutes.md").read_text()
    assert "hints, not results" in page
    assert "edits, 120 minutes" in page
    assert (tmp_path / "images" / "minutes.svg").read_text().startswith("<?xml")


def test_parts_made_with_other_settings_are_refused_and_other_budgets_are_not(study: Minutes) -> None:
    other = SMALL.model_copy(update={"label_weight": 1.0})
    with pytest.raises(DataError, match="made with other settings"):
        Minutes(other, study.place).summarise([3], lambda _: None, command="a test")
    fewer = SMALL.model_copy(update={"budgets": {"marks": (120.0,)}})
    assert set(Minutes(fewer, study.place).summarise([3], lambda _: None, command="a test").arms) == {
        "sft",
        "marks-120",
    }


class _Fixed:
    """Pays every response what `values` says in turn."""

    category, density, version = "", "sequence", "1"

    def __init__(self, name: str, values: list[float]) -> None:
        self.name, self._values = name, values

    def score(self, samples):
        values = itertools.islice(itertools.cycle(self._values), len(samples))
        return [
            SegmentScores((SegmentScore(Span(0, len(sample.response)), value),))
            for sample, value in zip(samples, values, strict=True)
        ]


def test_joined_rewards_have_unit_deviation_and_keep_their_proportion() -> None:
    first, second = _Fixed("first", [0.0, 2.0, 4.0, 2.0]), _Fixed("second", [1.0, -1.0, 3.0, 5.0])
    pipelines = [
        RewardPipeline([source], MixtureConfig(sources={source.name: SourceWeight(weight=weight)}))
        for source, weight in ((first, 0.5), (second, 2.0))
    ]
    samples = [Sample("q", text) for text in ("a", "b", "c", "d")]
    rules = joined(pipelines, samples).mixture.config.sources
    totals = rules["first"].weight * np.array([0, 2, 4, 2]) + rules["second"].weight * np.array([1, -1, 3, 5])
    assert totals.std(ddof=1) == pytest.approx(1.0)
    assert rules["second"].weight / rules["first"].weight == pytest.approx(4.0)
