"""A project folder made from a file of feedback: data, configs, run.sh, notebook and README, all or nothing."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import ConfigError, write_text
from spanwise.feedback import FeedbackRecord, Problem, write_records
from spanwise.setup.anatomy import Anatomy, examine_model
from spanwise.setup.material import divided
from spanwise.setup.pages import config_page, notebook, readme, run_script
from spanwise.setup.plan import Plan, make_plan
from spanwise.setup.timing import estimate

WRITTEN = (
    "data", "runs", "sft.yaml", "reward.yaml", "rl.yaml", "evaluate.yaml", "run.sh", "notebook.ipynb", "README.md",
)  # fmt: skip
"""What a project holds; a folder that has one of these is left alone."""


@dataclass(frozen=True)
class Project:
    """What was written, and what there is to say about it."""

    folder: Path
    plan: Plan
    timing: list[str]
    files: list[str]


def check_free(folder: Path) -> None:
    """ConfigError where the folder holds something that a project would overwrite."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; give the name of a folder.")
    taken = [name for name in WRITTEN if (folder / name).exists()]
    if taken:
        raise ConfigError(
            f"{folder}: holds {', '.join(taken)} already, and nothing is overwritten; give another folder."
        )


def make_project(
    folder: Path,
    records: Sequence[FeedbackRecord],
    *,
    source: Path,
    model: str,
    backbone: str | None = None,
    heldout_share: float = 0.2,
    seed: int = 0,
    problems: Sequence[Problem] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Project:
    """Writes a project into `folder`, which must hold none of its files, and says what it measures meanwhile.

    Raises ConfigError for a folder that is taken, DataError where the records teach nothing, CheckpointError for models
    that cannot be read. Nothing is written then.
    """
    check_free(folder)
    material = divided(records, share=heldout_share, seed=seed, place=source)
    policy = examine_model(_absolute(model))
    reader = policy if backbone is None else examine_model(_absolute(backbone))
    _check_reader(reader)
    plan = make_plan(material, policy, reader)
    pages = {name: config_page(name, plan) for name in plan.settings}
    say("Measuring how long each step will take here ...")
    timing = estimate(plan, policy, seed=seed)
    pages |= {
        "run.sh": run_script(plan),
        "notebook.ipynb": notebook(plan),
        "README.md": readme(source.name, plan, timing, len(problems)),
    }
    if problems:
        pages["data/left_out.txt"] = "".join(f"{problem}\n" for problem in problems)
    _write(folder, plan, pages)
    return Project(folder, plan, timing, [*sorted(f"data/{name}" for name in plan.files), *pages])


def _check_reader(reader: Anatomy) -> None:
    if reader.is_encoder_decoder:
        raise ConfigError(
            f"{reader.place}: an encoder-decoder cannot be the backbone of a reward model; name an encoder or a "
            "decoder with --backbone."
        )


def _absolute(model: str) -> str:
    """Configs are run inside the project, so a folder is named from the root."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model


def _write(folder: Path, plan: Plan, pages: dict[str, str]) -> None:
    """Writes beside and moves into place at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder, prefix=".init."))
    try:
        for name, records in plan.files.items():
            write_records(beside / "data" / name, records)
        for name, text in pages.items():
            write_text(beside / name, text)
        (beside / "run.sh").chmod(0o755)
        for child in sorted(beside.iterdir()):
            child.rename(folder / child.name)
    finally:
        shutil.rmtree(beside)
