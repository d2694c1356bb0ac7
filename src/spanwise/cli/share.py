"""`spanwise report` and `push`: what others get to see of runs, as a page, as cards, or as a repository on the Hub.

And `spanwise sweep`, which makes many runs to be seen together.
"""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spanwise.cli.config_help import AsJson, ConfigPath, Overrides, config_command, output_option
from spanwise.cli.render import show
from spanwise.cli.runner import Outcome, check_distinct, command_line, run_config
from spanwise.core import CheckpointError, DataError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from spanwise.evals.runs import TradeOff
    from spanwise.evals.statistics import ExperimentResults
    from spanwise.rl.runtime import ProgressView
    from spanwise.sweeps import SettingRunner, SweepConfig

app = typer.Typer()

RUN_FILES = ("config.yaml", "metrics.jsonl", "results.json")
"""What is pushed along below `spanwise/`; samples stay here, since they hold prompts and answers."""


@app.command(name="report")
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders, or experiment folders with results.json.", show_default=False),
    ],
    *,
    page: Annotated[Path, output_option("The HTML file to write.")] = Path("report.html"),
    cards: Annotated[
        Path | None,
        typer.Option("--cards", help="Folder for a model card and a data card (of several runs: one folder each)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a report of one or several runs: what improved, by how much, and where on the answers.

    The page needs nothing else: it can be sent to a colleague and opened without a network. With --cards, what each
    run's folder says of its model and its data is written as cards in Markdown.
    """
    from spanwise.evals.runs import check_folder

    check_distinct(*runs)
    for run in runs:
        check_folder(run)
    from spanwise.evals.report import write_report

    write_report(runs, page)
    written = _write_cards(runs, cards) if cards else []
    size = page.stat().st_size
    summary = {"output": page, "bytes": size, "runs": runs, "cards": written}
    lines = [f"Wrote {page} ({size / 1e6:.1f} MB).", *(f"Wrote {path}." for path in written)]
    show(summary, lines, as_json=as_json)


def _write_cards(runs: list[Path], folder: Path) -> list[Path]:
    from spanwise.evals.report import write_cards

    if len(runs) == 1:
        return write_cards(runs[0], folder)
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = ["-".join(run.resolve().parts[-2:]) for run in runs]
    return [path for run, name in zip(runs, names, strict=True) for path in write_cards(run, folder / name)]


@app.command(name="push")
def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or a checkpoint folder.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub; made if it is not there.")],
    *,
    checkpoint: Annotated[str, typer.Option(help="Checkpoint of the run folder.")] = "best",
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    unlearned: Annotated[
        bool,
        typer.Option("--unlearned", help="Push even where the best checkpoint is the start policy."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be pushed; touch no network.")] = False,
    as_json: AsJson = False,
) -> None:
    """Push a checkpoint to the Hugging Face Hub with a model card made from the run folder.

    Uses huggingface_hub: log in with `hf auth login` or set HF_TOKEN; HF_ENDPOINT names another server.
    """
    files = files_to_push(run, checkpoint)
    _check_name(repo)
    if checkpoint == "best" and not unlearned:
        _check_learned(run)
    address = None if dry_run else _upload(_api(), repo, files, private=private)
    sizes = {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size for name, content in files.items()
    }
    end = f"Would push {len(files)} files to {repo}." if dry_run else f"Pushed {len(files)} files: {address}"
    summary = {"repo": repo, "pushed": not dry_run, "commit": address, "files": sizes}
    show(summary, [*(f"{size:>14,}  {name}" for name, size in sizes.items()), end], as_json=as_json)


def _check_learned(run: Path) -> None:
    from spanwise.evals.runs import NOTHING_LEARNED, read_run

    if read_run(run, run.name).learned_nothing:
        raise DataError(f"{run}: {NOTHING_LEARNED}; give --checkpoint last, or --unlearned to push it all the same.")


def files_to_push(run: Path, checkpoint: str) -> dict[str, Path | bytes]:
    """Names in the repository, each with the file or its content; CheckpointError where there is no checkpoint."""
    from spanwise.evals.report import model_card

    bare = (run / "config.json").is_file()
    folder = run if bare else run / "checkpoints" / checkpoint
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder}: holds no config.json, so no checkpoint; give a run that saved {checkpoint!r}."
        )
    weights = ("*.safetensors", "*.bin")
    if not any(path for pattern in weights for path in folder.glob(pattern)):
        raise CheckpointError(f"{folder}: holds no weights; give a complete checkpoint.")
    files: dict[str, Path | bytes] = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not bare:
        files |= {f"spanwise/{name}": run / name for name in RUN_FILES if (run / name).is_file()}
        files["README.md"] = model_card(run).encode("utf-8")
    return files


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(library_name="spanwise")


def _check_name(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise DataError(f"{repo!r} cannot be a repository on the Hub; write OWNER/NAME.") from error


def _upload(api: "HfApi", repo: str, files: dict[str, Path | bytes], *, private: bool) -> str:
    """One commit with all files; its address."""
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    operations: list[Any] = [CommitOperationAdd(name, content) for name, content in files.items()]
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        commit = api.create_commit(repo, operations, commit_message="Push from a Spanwise run")
    except LocalTokenNotFoundError as error:
        raise DataError("The Hub wants to know who pushes; run `hf auth login` or set HF_TOKEN.") from error
    except HfHubHTTPError as error:
        raise DataError(f"{api.endpoint} refused to take {repo}: {_first_line(error)}.") from error
    except _network_errors() as error:
        raise DataError(
            f"{api.endpoint} cannot be reached ({_first_line(error)}); check the network, or list the files "
            "with --dry-run."
        ) from error
    return str(commit.commit_url)


def _network_errors() -> tuple[type[Exception], ...]:
    """What the HTTP library under huggingface_hub raises; which library that is depends on its version."""
    loaded = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return (OSError, *(module.HTTPError for module in loaded))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


@app.command(name="sweep", cls=config_command("spanwise.sweeps.config:SweepConfig"))
def sweep(
    config: ConfigPath,
    overrides: Overrides = None,
    *,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Train nothing; join the runs that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one policy per setting of the reward weights, and draw what the settings trade off.

    Finished runs are skipped and a stopped one goes on; the page, the table and the JSON are made from the run
    folders alone.
    """
    from spanwise.sweeps import SweepConfig

    words = command_line("spanwise sweep", config, overrides)

    def work(settings: SweepConfig) -> Outcome:
        return _sweep(settings, words, train=not only_report)

    run_config(SweepConfig, config, overrides, work, inputs=("base",), as_json=as_json)


def _sweep(settings: "SweepConfig", words: str, *, train: bool) -> Outcome:
    from spanwise.evals.pages import settings_table, write_trade_off
    from spanwise.sweeps import collect, run_sweep

    if train:
        run_sweep(settings, _runner(settings), say=_say)
    results, plan = collect(settings, command=words)
    page = settings.run_dir / "sweep.html"
    write_trade_off(settings.run_dir, page)
    return Outcome(
        _summary(settings, results, plan),
        [f"The trade-off is drawn in {page}; `spanwise report {settings.run_dir}` shows the runs."],
        settings_table(results, plan),
        plan.dial,
    )


def _runner(settings: "SweepConfig") -> "SettingRunner":
    from rich.console import Console

    from spanwise.rl.runtime import ConsoleProgress
    from spanwise.sweeps import RLSettings, SimSettings

    console = Console(stderr=True)

    def watch(steps: int) -> "AbstractContextManager[ProgressView]":
        return ConsoleProgress(steps, label="sweep", console=console)

    return RLSettings(settings, watch) if settings.sim is None else SimSettings(settings, watch, say=_say)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _summary(settings: "SweepConfig", results: "ExperimentResults", plan: "TradeOff") -> dict[str, Any]:
    """What `--json` prints: per setting its weights, estimates and whether it is on the front of each pair of axes."""
    from spanwise.evals.runs import front_rows

    fronts = {
        f"{x} / {y}": [row.arm for row in front_rows(results, plan.groups[0].arms, (x, y)) if row.on_front]
        for x, y in plan.axes
    }
    rows = {
        setting: {"weights": weights, "metrics": results.arms[setting].model_dump(mode="json")["metrics"]}
        for setting, weights in settings.points().items()
    }
    return {"run_dir": settings.run_dir, "seeds": settings.seeds, "settings": rows, "fronts": fronts}
