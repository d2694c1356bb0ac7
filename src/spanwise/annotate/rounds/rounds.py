"""The loop closed: export what people said, train on it, let the policy answer, queue its most uncertain answers.

The steps that need models are handed in, so that nothing here imports torch; `CommandSteps` runs them as commands.
Every step leaves its file in the round's folder and is skipped where the file is there: a round that was
interrupted goes on where it stopped.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field
from sqlalchemy import update

from spanwise.annotate.exchange import ImportSettings, export_file, import_file
from spanwise.annotate.people import User, require
from spanwise.annotate.store import Database, Project, Selection, audit, tables
from spanwise.annotate.work import select_items
from spanwise.core import Config, DataError, parse, read_json, read_lines, write_json
from spanwise.feedback import FeedbackRecord, PromptRecord, Record, Response, load_or_raise, write_records

COMMAND = (sys.executable, "-c", "from spanwise.cli import main; main()")
"""This Spanwise, as a process of its own."""

Stage = Literal["export", "train", "answer", "score", "queue"]

LOG = "log.txt"
"""In the round's folder: what the commands said."""

_TAIL = 16_384


class RoundConfig(Config):
    """How a round is closed and the next one filled."""

    reward_model: Path
    """Config of `spanwise reward train`; its data and run_dir are set to the round's."""
    generate: Path
    """Config of `spanwise generate`; its output is set to the round's."""
    prompts: Path
    """The prompts that the policy answers (JSONL)."""
    size: int = Field(default=100, ge=1)
    """Items in the next round."""
    random_share: float = Field(default=0.2, ge=0, le=1)
    """Share of them that are drawn by lot."""
    seed: int = 0
    """The seed of the lot."""


class RoundSteps(Protocol):
    """The steps of a round that need models."""

    def train(self, feedback: Path, run_dir: Path) -> None:
        """Trains reward models on the feedback, into `run_dir`."""
        ...

    def answer(self, output: Path) -> Sequence[FeedbackRecord]:
        """The policy's answers as records without feedback; `output` is for what the step wants to keep."""
        ...

    def score(self, run_dir: Path, records: Sequence[FeedbackRecord]) -> Mapping[str, float]:
        """How uncertain the reward models in `run_dir` are of each record, by its id, from 0 to 1."""
        ...


class RoundReport(Record):
    """What closing a round did."""

    round: int
    """The round that begins."""
    exported: int
    answered: int
    queued: int
    random: int
    """How many of the queued were drawn by lot."""
    batch_id: str

    @property
    def sentence(self) -> str:
        """The same in words."""
        return f"Round {self.round}: {self.queued:,} of {self.answered:,} answers queued, {self.random:,} by lot."


@dataclass(frozen=True, slots=True)
class CommandSteps:
    """Trains and answers by Spanwise's own commands, each in a process of its own; scoring is left to subclasses."""

    config: RoundConfig

    def train(self, feedback: Path, run_dir: Path) -> None:
        """`spanwise reward train`."""
        if not (run_dir / "checkpoints" / "best").exists():
            settings = f"data=[{feedback}]", f"run_dir={run_dir}"
            _run("reward", "train", str(self.config.reward_model), *settings, log=feedback.parent / LOG)

    def answer(self, output: Path) -> Sequence[FeedbackRecord]:
        """`spanwise generate`, and its answers joined with the passages of their prompts."""
        if not output.exists():
            settings = f"prompts={self.config.prompts}", f"output={output}"
            _run("generate", str(self.config.generate), *settings, log=output.parent / LOG)
        return joined(load_or_raise(self.config.prompts, PromptRecord), output)


def _say_nothing(_: Stage) -> None:
    """Nobody listens."""


def next_round(
    database: Database,
    project: Project,
    steps: RoundSteps,
    *,
    by: User,
    folder: Path,
    config: RoundConfig,
    say: Callable[[Stage], None] = _say_nothing,
) -> tuple[Project, RoundReport]:
    """Closes the project's round and fills the next one; returns the project as it then stands.

    `say` is told each stage before it begins.
    """
    require(by, "manage")
    say("export")
    here = folder / f"round-{project.round}"
    feedback, run_dir, scored = here / "feedback.jsonl", here / "reward", here / "scores.json"
    selection = Selection(kinds=("human", "adjudicated", "imported"))
    exported = export_file(database, project, feedback, "spanwise", selection).rows
    if not exported:
        raise DataError(f"Nobody has said anything in round {project.round}; annotate items before closing it.")
    say("train")
    steps.train(feedback, run_dir)
    say("answer")
    answers = {record.id: record for record in steps.answer(here / "answers.jsonl")}
    answers = {f"round-{project.round + 1}/{name}": record for name, record in answers.items()}
    answers = {name: record.model_copy(update={"id": name}) for name, record in answers.items()}
    say("score")
    if not scored.exists():
        write_json(scored, dict(steps.score(run_dir, list(answers.values()))))
    chosen = select_items(read_json(scored), size=config.size, random_share=config.random_share, seed=config.seed)
    say("queue")
    queued = here / "next.jsonl"
    write_records(queued, [answers[choice.id] for choice in chosen])
    following = replace(project, round=project.round + 1)
    priorities = {choice.id: (choice.priority, choice.reason, choice.probability) for choice in chosen}
    settings = ImportSettings(priorities=priorities)
    batch = import_file(database, following, queued, "spanwise", user=by, settings=settings)
    _begin(database, following, by)  # last, so that a round that was interrupted is closed again, not skipped
    report = RoundReport(
        round=following.round,
        exported=exported,
        answered=len(answers),
        queued=len(chosen),
        random=sum(choice.reason == "random" for choice in chosen),
        batch_id=batch.batch_id,
    )
    write_json(here / "report.json", report.model_dump(mode="json"))
    return following, report


def joined(prompts: Sequence[PromptRecord], answers: Path) -> list[FeedbackRecord]:
    """One record per prompt with all its answers; raises DataError for an answer to a prompt that is not there."""
    by_id = {prompt.id or str(number): prompt for number, prompt in enumerate(prompts)}
    texts: dict[str, list[str]] = {}
    for number, line in read_lines(answers):
        row = parse(line.decode())
        if row["id"] not in by_id:
            raise DataError(
                f"{answers}:{number}: answers the prompt {row['id']!r:.60}, which is not among the prompts."
            )
        texts.setdefault(row["id"], []).append(row["response"])
    return [
        FeedbackRecord(
            id=name,
            prompt=by_id[name].prompt,
            passages=by_id[name].passages,
            references=by_id[name].references,
            responses=tuple(Response(text=text, model="policy") for text in responses),
        )
        for name, responses in texts.items()
    ]


def _begin(database: Database, following: Project, by: User) -> None:
    with database.write("spanwise-register") as connection:
        row = tables.project.c.id == following.id
        connection.execute(update(tables.project).where(row).values(round=following.round))
        audit.record(connection, database, "round.begun", following.id, user_id=by.id, round=following.round)


def _run(*arguments: str, log: Path) -> None:
    """Runs one of our commands, what it says going to `log`; raises DataError with its last words when it fails."""
    with log.open("ab") as stream:
        done = subprocess.run([*COMMAND, *arguments], stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last_words = last_lines(log, 1)
        raise DataError(
            f"spanwise {' '.join(arguments[:2])} failed: {(last_words or ['it said nothing'])[0]} (see {log})"
        )


def last_lines(log: Path, count: int) -> tuple[str, ...]:
    """The last lines of a log that say something; none where there is no log."""
    if not log.exists():
        return ()
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL))
        text = stream.read().decode(errors="replace")
    return tuple([line for line in re.split(r"[\r\n]+", text) if line.strip()][-count:])
