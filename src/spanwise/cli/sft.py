"""`spanwise sft`: supervised fine-tuning on demonstrations."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.devices import on_device
from spanwise.core import ConfigError, DataError, check_readable

if TYPE_CHECKING:
    from spanwise.feedback import DemonstrationRecord
    from spanwise.models import Policy
    from spanwise.training import SFTResult, SFTRunConfig

app = typer.Typer()


@app.command(name="sft", cls=config_command("spanwise.training.config:SFTRunConfig"))
def sft(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Fine-tune a language model on demonstrations and keep the best checkpoint."""
    from spanwise.training import SFTRunConfig

    settings = SFTRunConfig.load(config, overrides or [])
    check_readable(settings.demonstrations, settings.heldout)
    result = _run(on_device(settings))
    if as_json:
        summary = {
            "checkpoint": str(result.checkpoint),
            "step": result.step,
            "heldout_loss": result.heldout_loss,
            "score": result.score,
        }
        typer.echo(json.dumps(summary, indent=2))
    else:
        score = "" if result.score is None else f", ROUGE-Lsum {result.score:.4f}"
        typer.echo(f"Best after step {result.step}: held-out loss {result.heldout_loss:.4f}{score}.")
        typer.echo(f"The checkpoint is {result.checkpoint}.")


def _run(settings: "SFTRunConfig") -> "SFTResult":
    from rich.console import Console
    from rich.progress import Progress

    from spanwise.core import RunFolder
    from spanwise.feedback import DemonstrationRecord, load_or_raise

    if (settings.run_dir / "metrics.jsonl").exists():
        raise ConfigError(f"{settings.run_dir}: holds a run already; choose another run_dir or remove it.")
    demonstrations = load_or_raise(settings.demonstrations, DemonstrationRecord)
    heldout = load_or_raise(settings.heldout, DemonstrationRecord)
    from spanwise.models import Policy
    from spanwise.training import train_sft

    policy = Policy.load(settings.policy, device=settings.device)
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("sft", total=settings.steps(len(demonstrations)))

        def watch(step: int, metrics: Mapping[str, float]) -> None:
            bar.update(task, completed=step, description=f"sft  loss {metrics['sft/loss']:.3f}")
            if "heldout/loss" in metrics:
                figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in metrics if name.startswith("heldout/"))
                console.print(f"sft step {step}: {figures}", highlight=False)

        return train_sft(
            policy,
            demonstrations,
            heldout,
            config=settings,
            run=RunFolder(settings.run_dir),
            score=_rouge(heldout[: settings.rouge_prompts], settings) if settings.select_by == "rouge" else None,
            watch=watch,
        )


def _rouge(records: "list[DemonstrationRecord]", settings: "SFTRunConfig") -> "Callable[[Policy], float]":
    """Mean ROUGE-Lsum of greedy answers against the demonstrations' completions and references."""
    from spanwise.evals.metrics import RougeLsum
    from spanwise.models import AnswerConfig, Sampling, answer_all

    rouge = RougeLsum()
    asked = AnswerConfig(
        sampling=Sampling(max_new_tokens=settings.max_response_tokens), max_prompt_tokens=settings.max_prompt_tokens
    )

    def score(policy: "Policy") -> float:
        answers = answer_all(policy, records, asked)
        values = [
            rouge(answer.response, (record.completion, *record.references))
            for record, answer in zip(records, answers, strict=True)
        ]
        known = [value for value in values if isinstance(value, float)]
        if not known:
            raise DataError("No held-out completion has a word that ROUGE reads; set select_by=loss.")
        return sum(known) / len(known)

    return score
