"""`spanwise evaluate`: metrics of a file of answers or of a policy, and whether they are better than another's.

`spanwise evaluate CONFIG.yaml` is short for `spanwise evaluate answers CONFIG.yaml`.
"""

from typing import TYPE_CHECKING, Any

import typer

from spanwise.cli import compare, reward_evaluate, win_rate
from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command, group_with_default
from spanwise.cli.render import bar, bounds
from spanwise.cli.runner import Outcome, check_distinct, command_line, on_device, run_config
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanwise.evals.metrics import EvaluateConfig
    from spanwise.evals.robustness import Robustness, RobustnessConfig
    from spanwise.evals.statistics import Estimate, ExperimentResults
    from spanwise.models import Answer

CONFIG = "spanwise.evals.metrics.config:EvaluateConfig"
ROBUSTNESS = "spanwise.evals.robustness.config:RobustnessConfig"

app = typer.Typer(
    name="evaluate",
    cls=group_with_default("answers", CONFIG),
    help="Measure answers: by metrics, by a judge, or one model against another.",
    no_args_is_help=True,
)
win_rate.add_to(app)
compare.add_to(app)
reward_evaluate.add_to(app)


@app.command(name="answers", cls=config_command(CONFIG))
def evaluate_command(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Measure answers: ROUGE-Lsum, length, repetition, rewards, with intervals and paired differences."""
    from spanwise.evals.metrics import EvaluateConfig

    words = command_line("spanwise evaluate", config, overrides)

    def work(settings: EvaluateConfig) -> Outcome:
        check_distinct(settings.responses, settings.baseline)
        return _evaluate(settings, words)

    inputs = ("prompts", "responses", "baseline")
    run_config(EvaluateConfig, config, overrides, work, inputs=inputs, says_device=False, as_json=as_json)


@app.command(name="robustness", cls=config_command(ROBUSTNESS))
def robustness_command(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Hold policies against changed prompts, and reward sources against spoilt answers before RL pays for them.

    Prompts are reworded, shifted and made hostile; answers are repeated, hedged, copied or left empty. Every figure is
    a paired difference with its interval.
    """
    from spanwise.evals.robustness import RobustnessConfig

    def work(settings: RobustnessConfig) -> Outcome:
        return _robustness(on_device(settings) if settings.policies else settings)

    run_config(
        RobustnessConfig, config, overrides, work, inputs=("prompts", "responses"), says_device=False, as_json=as_json
    )


def _robustness(settings: "RobustnessConfig") -> Outcome:
    from spanwise.evals.robustness import robustness

    found = robustness(settings, _sources(settings), say=_say)
    where = [] if settings.output is None else [f"All figures are in {settings.output / 'robustness.json'}."]
    return Outcome(found.as_dict(), [*_robustness_lines(found), *found.sentences, *where])


def _robustness_lines(found: "Robustness") -> list[str]:
    """A line a spoilt answer and source, and a line a change of prompts, policy and figure that surely changes."""
    lines = [f"{row.source}, {row.probe}: {_changed(row.pays)} deviations" for row in found.probes]
    sure = [row for row in found.stress if row.change.excludes_zero]
    lines += [f"{row.policy}, {row.perturbation}, {row.metric}: {_changed(row.change)}" for row in sure]
    return [*lines, f"{len(found.stress) - len(sure)} other figures of policies do not surely change."]


def _changed(estimate: "Estimate") -> str:
    if estimate.mean is None:
        return "not known"
    return f"{estimate.mean:+.3g}{bounds(estimate.low, estimate.high, '+.3g')}"


def _evaluate(settings: "EvaluateConfig", words: str) -> Outcome:
    rivals = settings.free_rivals
    if rivals is not None:
        check_readable(rivals.validation, rivals.demonstrations)
        if rivals.run_dir is not None and (rivals.run_dir / "metrics.jsonl").exists():
            raise ConfigError(f"{rivals.run_dir}: holds a run already; choose another free_rivals.run_dir.")
    if settings.policy is not None or rivals is not None:
        settings = on_device(settings)
    from spanwise.evals.metrics import evaluate
    from spanwise.evals.report import arm_table, verdict_sentences

    models = _models(settings.perplexity_model, settings.bertscore_model)
    with bar() as progress:

        def track(answers: "Iterable[Answer]", total: int, title: str) -> "Iterable[Answer]":
            return progress.track(answers, total, description=title)

        results = evaluate(settings, _sources(settings), models=models, command=words, track=track, say=_say)
    sentences = verdict_sentences(results) if results.comparisons else []
    return Outcome(_summary(results), sentences, arm_table(results))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _summary(results: "ExperimentResults") -> dict[str, Any]:
    """What `--json` prints: estimates by arm and metric, and the differences; those of files by their old names too."""
    arms = {
        name: {metric: estimate.model_dump(mode="json") for metric, estimate in arm.metrics.items()}
        for name, arm in results.arms.items()
    }
    differences = {
        pair.metric: {**pair.difference.model_dump(mode="json"), "p_value": pair.p_value, "verdict": pair.verdict}
        for pair in results.comparisons
        if (pair.arm, pair.baseline) == ("responses", "baseline")
    }
    return {
        "metrics": arms.get("responses"),
        "baseline": arms.get("baseline"),
        "differences": differences or None,
        "arms": arms,
        "comparisons": [comparison.model_dump(mode="json") for comparison in results.comparisons],
    }


def _sources(settings: "EvaluateConfig | RobustnessConfig") -> list[Any]:
    if not (settings.reward_models or settings.sources):
        return []
    from spanwise.rewards import foreign_sources, load_sources

    sources: list[Any] = [source for path in settings.reward_models for source in load_sources(path)]
    sources += foreign_sources(settings.sources, beside=sources)
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"reward_models: two of them are named {name!r}; evaluate with one at a time.")
    return sources


def _models(perplexity: str | None, bertscore: str | None) -> list[Any]:
    metrics: list[Any] = []
    if bertscore is not None:
        from spanwise.evals.metrics import BertScoreMetric

        metrics.append(BertScoreMetric.load(bertscore))
    if perplexity is not None:
        from spanwise.evals.metrics import PerplexityMetric
        from spanwise.models import Policy

        metrics.append(PerplexityMetric(Policy.load(perplexity)))
    return metrics
