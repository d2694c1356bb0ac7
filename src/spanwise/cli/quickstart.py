"""`spanwise quickstart`: the whole loop on the simulated world, offline, with a report at the end."""

import time
from pathlib import Path
from typing import Annotated

import typer

from spanwise.cli.config_help import AsJson, output_option
from spanwise.cli.render import print_json
from spanwise.core import ConfigError

COMMAND = "spanwise quickstart"

app = typer.Typer()


@app.command(name="quickstart")
def quickstart(
    output: Annotated[
        Path,
        output_option("Folder for runs, results.json and report.html; must be new or empty."),
    ] = Path("runs/quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Turn marked answers into a better model: SFT, noisy feedback, reward models, PPO.

    Ends with a comparison of greedy answers, held against what decoding alone gives.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: is a file or holds files; give another folder with --output or remove it.")
    from rich.console import Console

    from spanwise.evals.report import write_report
    from spanwise.quickstart import SeedStudy, SimStudyConfig, greedy_sentences, save_outcome, summarize
    from spanwise.rl.runtime import ConsoleProgress

    start = time.monotonic()
    console = Console(stderr=True)
    config = SimStudyConfig()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:5.0f} s[/dim]  {text}", highlight=False)

    study = SeedStudy(config, seed, output, say=say)
    outcome = study.run(lambda label, steps: ConsoleProgress(steps, label=label, console=console))
    save_outcome(output, seed, config, outcome)
    results = summarize(output, config, [seed], title="Quickstart", command=f"{COMMAND} --seed {seed}")
    results.save(output)
    write_report([output], output / "report.html")
    say(f"Report: {output / 'report.html'}")
    if as_json:
        print_json(results.model_dump(mode="json"))
    for sentence in greedy_sentences(results):
        typer.echo(sentence, err=as_json)
