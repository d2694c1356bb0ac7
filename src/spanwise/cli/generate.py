"""`spanwise generate`: a policy's answers to the prompts of a file."""

import json
from typing import Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command
from spanwise.cli.devices import on_device
from spanwise.core import check_readable

app = typer.Typer()


@app.command(name="generate", cls=config_command("spanwise.models.config:GenerateConfig"))
def generate(config: ConfigPath, overrides: Overrides = None, *, as_json: AsJson = False) -> None:
    """Answer the prompts of a JSONL file with a language model."""
    from spanwise.models import GenerateConfig

    settings = GenerateConfig.load(config, overrides or [])
    check_readable(settings.prompts)
    summary = _run(on_device(settings))
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"Wrote {summary['answers']:,} answers to {summary['prompts']:,} prompts into {summary['output']}.")
        if summary["truncated"]:
            typer.echo(f"{summary['truncated']:,} of them ran into the limit of max_new_tokens.")


def _run(settings: Any) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import track

    from spanwise.core import write_jsonl
    from spanwise.feedback import PromptRecord, load_or_raise

    records = load_or_raise(settings.prompts, PromptRecord)
    from spanwise.models import Policy, answer_all, precision

    dtype = precision(settings.dtype, settings.device)
    policy = Policy.load(settings.policy, device=settings.device, dtype=dtype)
    console = Console(stderr=True)
    answers = track(
        answer_all(policy, records, settings),
        total=len(records) * settings.samples_per_prompt,
        description="generate",
        console=console,
        disable=not console.is_terminal,
    )
    truncated = 0

    def rows() -> Any:
        nonlocal truncated
        for answer in answers:
            truncated += answer.truncated
            yield answer.model_dump()

    written = write_jsonl(settings.output, rows())
    return {"output": str(settings.output), "prompts": len(records), "answers": written, "truncated": truncated}
