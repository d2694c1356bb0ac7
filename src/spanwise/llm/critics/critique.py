"""A run of a critic over a file: every answer is read, what it marks becomes feedback records as a person's would.

Beside the output lie the replies (`.replies.jsonl`, written one by one as they are paid for), the answers that could
not be judged and why (`.unscored.jsonl`) and the report (`.report.json`). A run that was stopped goes on from its
replies. An answer without a record is unknown, one whose record has no marks was found without errors.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from spanwise.core import BadJSONError, DataError, parse, read_lines, write_json, write_jsonl
from spanwise.feedback import (
    FeedbackRecord,
    FilledText,
    Passage,
    Record,
    Response,
    Text,
    Tools,
    Turns,
    load_or_raise,
    write_records,
)
from spanwise.feedback.statistics import StandInReport, compare_marks
from spanwise.llm.answers import Unusable, Usable
from spanwise.llm.chat import ChatClient
from spanwise.llm.critics.config import CritiqueConfig
from spanwise.llm.critics.critic import Critic, CriticCounts, Judged
from spanwise.llm.critics.prompting import Asks
from spanwise.llm.critics.reading import Critique
from spanwise.llm.replies import beside


class CritiqueTask(Record):
    """An answer that is to be read; other columns of its line are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    name: Text = Field(default="", alias="id")
    """What is called `id` in the file; several samples of a prompt may share it."""
    prompt: Text
    messages: Turns = ()
    tools: Tools = ()
    passages: tuple[Passage, ...] = ()
    response: FilledText
    comment: Text = ""
    """What a reader said of the answer, for `feedback comments`."""


@dataclass(frozen=True, slots=True)
class CritiqueReport:
    """The figures of a run; tokens and cost are those of all replies, old ones included."""

    output: str
    answers: int
    records: int
    clean: int
    marks: dict[str, int]
    """By category."""
    omissions: dict[str, int]
    left: int
    """Parts of comments that neither a mark nor an omission holds; the records keep them in their provenance."""
    retried: int
    quotes_not_found: int
    unscored: dict[str, int]
    calls: int
    replies_from_before: int
    failed_calls: dict[str, int]
    input_tokens: int
    output_tokens: int
    cost: float | None
    reliability: StandInReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures, for JSON output."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """The same in sentences."""
        yield f"Wrote {self.records:,} records on {self.answers:,} answers to {self.output}; {self.clean:,} are clean."
        for name, number in (self.marks | self.omissions).items():
            yield f"  {number:,} {name}"
        for reason, number in self.unscored.items():
            yield f"  {number:,} answers unscored: {reason}"
        yield f"{self.retried:,} answers asked about again, {self.quotes_not_found:,} replies quoted what is not there."
        if self.left:
            yield f"{self.left:,} parts of comments are neither a mark nor an omission; see provenance.left."
        tokens = f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens"
        cost = "" if self.cost is None else f", cost {self.cost:,.4f}, {self.cost / max(1, self.records):.6f} a record"
        yield f"{self.calls:,} calls, {self.replies_from_before:,} replies from before; {tokens}{cost}."
        if self.reliability is not None:
            yield from self.reliability.lines()


def criticise(
    config: CritiqueConfig,
    *,
    asks: Asks = "critique",
    against: Path | None = None,
    client: ChatClient | None = None,
) -> CritiqueReport:
    """Runs the critic of `config` and writes its four files; `client` stands in for the configured endpoint.

    `against` is a file of people's marks on the same answers, which the report then compares the critic with. Raises
    DataError for files that do not fit, before the first call.
    """
    tasks = _load_tasks(config, asks)
    people = [] if against is None else _shared(load_or_raise(against, FeedbackRecord), tasks, against)
    cache = config.cache or beside(config.output, "replies")
    critic = Critic(config.model_copy(update={"cache": cache}), asks=asks, client=client)
    by_position = dict(critic.judge(tasks))
    judged = [by_position[position] for position in range(len(tasks))]
    records = list(_records(tasks, judged, critic))
    report = _report(config, critic, records, people)
    write_records(config.output, records)
    write_jsonl(beside(config.output, "unscored"), _unscored(tasks, judged))
    write_json(beside(config.output, "report", "json"), report.as_dict())
    return report


def _load_tasks(config: CritiqueConfig, asks: Asks) -> list[CritiqueTask]:
    if config.output.resolve() == config.responses.resolve():
        raise DataError(f"{config.output}: is the input as well; name another output.")
    if _holds_feedback(config.responses):
        tasks = [task for record in load_or_raise(config.responses, FeedbackRecord) for task in _tasks_of(record)]
    else:
        tasks = load_or_raise(config.responses, CritiqueTask)
    if asks == "comments":
        tasks = [task for task in tasks if task.comment.strip()]
        if not tasks:
            raise DataError(f"{config.responses}: no line has a comment; give answers with a column `comment`.")
    return _with_own_ids(tasks[: config.limit])


def _holds_feedback(path: Path) -> bool:
    _, line = next(read_lines(path), (0, b""))
    try:
        first: Any = parse(line.decode("utf-8"))
    except (BadJSONError, UnicodeDecodeError):
        return False
    return isinstance(first, dict) and "responses" in first


def _tasks_of(record: FeedbackRecord) -> Iterator[CritiqueTask]:
    for number, response in enumerate(record.responses):
        if response.text.strip():
            name = record.id if len(record.responses) == 1 else f"{record.id}-{number}"
            values = {name: getattr(record, name) for name in ("prompt", "messages", "tools", "passages")}
            yield CritiqueTask.model_validate({"id": name, **values, "response": response.text})


def _with_own_ids(tasks: Sequence[CritiqueTask]) -> list[CritiqueTask]:
    seen: Counter[str] = Counter()
    named: list[CritiqueTask] = []
    for number, task in enumerate(tasks):
        name = task.name or str(number)
        seen[name] += 1
        named.append(task.model_copy(update={"name": name if seen[name] == 1 else f"{name}#{seen[name] - 1}"}))
    return named


def _shared(people: Sequence[FeedbackRecord], tasks: Sequence[CritiqueTask], path: Path) -> list[FeedbackRecord]:
    """The people's records; DataError where none of the answers is marked there."""
    asked = {(task.prompt, task.response) for task in tasks}
    if not any((record.prompt, r.text) in asked for record in people for r in record.responses if r.marked):
        raise DataError(f"{path}: has marks on none of the answers that the critic reads; name people's marks on them.")
    return list(people)


def _records(tasks: Sequence[CritiqueTask], judged: Sequence[Judged], critic: Critic) -> Iterator[FeedbackRecord]:
    for task, outcome in zip(tasks, judged, strict=True):
        if isinstance(outcome, Usable):
            yield _record(task, outcome, critic)


def _record(task: CritiqueTask, outcome: Usable[Critique], critic: Critic) -> FeedbackRecord:
    critique, reply = outcome.value, outcome.reply
    kept: dict[str, Any] = {"critic": critic.prompt.file.provenance(outcome, critic.config.endpoint)}
    kept |= {"critique": critique.text}
    if task.comment:
        kept |= {"comment": task.comment, "left": list(critique.left)}
    answer = Response(text=task.response, marked=True, spans=critique.marks, missing=critique.omissions)
    return FeedbackRecord(
        id=task.name,
        prompt=task.prompt,
        messages=task.messages,
        tools=task.tools,
        passages=task.passages,
        responses=(answer,),
        annotator=f"{critic.prompt.asks}: {reply.model or critic.config.endpoint.model}",
        provenance=kept,
    )


def _unscored(tasks: Sequence[CritiqueTask], judged: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    for task, outcome in zip(tasks, judged, strict=True):
        if isinstance(outcome, Unusable):
            yield {"id": task.name, "reason": outcome.reason, "detail": outcome.detail, "raw": outcome.raw}


def _report(
    config: CritiqueConfig, critic: Critic, records: Sequence[FeedbackRecord], people: Sequence[FeedbackRecord]
) -> CritiqueReport:
    counts: CriticCounts = critic.counts
    usage = critic.caller.usage
    responses = [response for record in records for response in record.responses]
    cost = config.endpoint.cost(usage.input_tokens, usage.output_tokens)
    return CritiqueReport(
        output=str(config.output),
        answers=counts.answers,
        records=len(records),
        clean=counts.clean,
        marks=dict(Counter(mark.category for response in responses for mark in response.spans).most_common()),
        omissions=dict(Counter(gap.category for response in responses for gap in response.missing).most_common()),
        left=sum(len(record.provenance.get("left", ())) for record in records),
        retried=counts.retried,
        quotes_not_found=counts.not_found,
        unscored=dict(counts.unscored.most_common()),
        calls=usage.asked,
        replies_from_before=usage.from_book,
        failed_calls=dict(usage.failures.most_common()),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=cost,
        reliability=compare_marks(people, records, cost=cost) if people else None,
    )
