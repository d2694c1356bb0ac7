"""`spanwise evaluate`: metrics of a file of answers, and whether they are better than another's.

`spanwise evaluate CONFIG.yaml` is short for `spanwise evaluate answers CONFIG.yaml`.
"""

import json
from typing import TYPE_CHECKING, Any

import typer

from spanwise.cli import compare, overoptimisation, reward_evaluate, win_rate
from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command, group_with_default
from spanwise.core import ConfigError, check_readable

if TYPE_CHECKING:
    from spanwise.evals.report import Cell
    from spanwise.evals.statistics import ExperimentResults

CONFIG = "spanwise.evals.metrics.config:EvaluateConfig"

app = typer.Typer(
    name="evaluate",
    cls=group_with_default("answers", CONFIG),
    help="Measure answers: by metrics, by a judge, or one model against another.",
    no_args_is_help=True,
)
win_rate.add_to(app)
compare.add_to(app)
reward_evaluate.add_to(app)
overoptimisation.add_to(app)


@app.command(name="answers", cls=config_command(CONFIG))
def evaluate_command(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Measure answers: ROUGE-Lsum, length, repetition, rewards, with intervals and paired differences."""
    from spanwise.evals.metrics import EvaluateConfig

    settings = EvaluateConfig.load(config, overrides or [])
    check_readable(settings.prompts, settings.responses, settings.baseline)
    from spanwise.evals.metrics import evaluate

    words = " ".join(["spanwise evaluate", str(config), *(overrides or [])])
    models = _models(settings.perplexity_model, settings.bertscore_model)
    results = evaluate(settings, _sources(settings.reward_models), models=models, command=words)
    if as_json:
        typer.echo(json.dumps(summary(results), indent=2, ensure_ascii=False))
    else:
        _print_tables(results)


def summary(results: "ExperimentResults") -> dict[str, Any]:
    """What `--json` prints: estimates by metric of the answers and of the baseline, and the differences."""
    arms = {
        arm: {metric: found.model_dump(mode="json") for metric, found in own.metrics.items()}
        for arm, own in results.arms.items()
    }
    differences = {
        one.metric: {**one.difference.model_dump(mode="json"), "p_value": one.p_value, "verdict": one.verdict}
        for one in results.comparisons
    }
    return {"metrics": arms["responses"], "baseline": arms.get("baseline"), "differences": differences or None}


def _sources(paths: tuple[str, ...]) -> list[Any]:
    if not paths:
        return []
    from spanwise.rewards import load_sources

    sources = [source for path in paths for source in load_sources(path)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"reward_models: two of them have a head {name!r}; evaluate with one at a time.")
    return sources


def _models(perplexity: str | None, bertscore: str | None) -> list[Any]:
    found: list[Any] = []
    if bertscore is not None:
        from spanwise.evals.metrics import BertScoreMetric

        found.append(BertScoreMetric.load(bertscore))
    if perplexity is not None:
        from spanwise.evals.metrics import PerplexityMetric
        from spanwise.models import Policy

        found.append(PerplexityMetric(Policy.load(perplexity)))
    return found


def _print_tables(results: "ExperimentResults") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from spanwise.evals.report import arm_table, verdict_sentences

    found = arm_table(results)
    table = Table("", box=box.SIMPLE)
    for row in found.rows:
        table.add_column(Text(row.title, overflow="fold"))
    for place, column in enumerate(found.columns):
        cells = [row.cells[place] for row in found.rows]
        name = f"{column.title} ({column.unit})" if column.unit else column.title
        table.add_row(name, *(Text(_shown(cell)) for cell in cells))
    console = Console()
    console.print(table)
    for sentence in verdict_sentences(results) if results.comparisons else ():
        console.print(Text(sentence))


def _shown(cell: "Cell") -> str:
    return " ".join(filter(None, [cell.text, cell.interval, cell.note]))
