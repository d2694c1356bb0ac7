"""A run of an editor: every response of a file is asked about, answers become edit pairs, the fit ones are written.

Beside the output lie the replies (`.replies.jsonl`, written one by one as they are paid for), what was refused and
why (`.refused.jsonl`) and the report (`.report.json`). A run that was stopped goes on from its replies. Nothing that
an editor does is fatal; what the user set wrong is refused before the first call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spanwise.core import DataError, write_json, write_jsonl
from spanwise.feedback import Editor, EditPair, load_or_raise, write_records
from spanwise.feedback.statistics import Judge, fingerprint, validate_edits
from spanwise.llm.answers import Unusable, Usable, ask_until_usable
from spanwise.llm.calls import Caller, in_parallel
from spanwise.llm.chat import ChatClient
from spanwise.llm.clients import make_client
from spanwise.llm.editors.answers import Edited, read_operations, read_rewrite
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.editors.prompting import EditTask, Prompt, load_prompt
from spanwise.llm.editors.report import EditorReport, Outcome
from spanwise.llm.replies import ReplyBook, beside


def generate_edits(
    config: EditorConfig, *, client: ChatClient | None = None, judge: Judge | None = None
) -> EditorReport:
    """Runs the editor of `config` and writes its four files; `client` stands in for the configured endpoint."""
    prompt, tasks = load_prompt(config), _tasks(config)
    caller = Caller(
        client or make_client(config.endpoint), ReplyBook(beside(config.output, "replies")), config.endpoint
    )
    run = _Run(config, prompt, caller)
    by_position = dict(in_parallel(run.edit, tasks, workers=config.endpoint.concurrency))
    outcomes = [by_position[position] for position in range(len(tasks))]
    pairs = [outcome.pair for outcome in outcomes if outcome.pair is not None]
    checked = validate_edits(pairs, config.rules, judge=judge)
    refused = {id(refusal.pair): refusal for refusal in checked.refused}
    outcomes = [outcome.refused(refused.get(id(outcome.pair))) for outcome in outcomes]
    report = EditorReport.of(outcomes, caller.usage, config, fingerprint(checked.kept))
    write_records(config.output, checked.kept)
    write_jsonl(beside(config.output, "refused"), [outcome.as_row() for outcome in outcomes if outcome.reason])
    write_json(beside(config.output, "report", "json"), report.as_dict())
    return report


@dataclass(frozen=True, slots=True)
class _Run:
    config: EditorConfig
    prompt: Prompt
    caller: Caller

    def edit(self, task: EditTask) -> Outcome:
        """One response, asked about until an answer can be used or the attempts are used up."""
        read = read_operations if self.config.mode == "operations" else read_rewrite
        answer = ask_until_usable(
            self.caller,
            lambda turns: self.prompt.request(task, self.config, turns),
            lambda text: read(text, task.response),
            attempts=self.config.attempts,
        )
        if isinstance(answer, Unusable):
            return Outcome(task, reason=answer.reason, detail=answer.detail, raw=answer.raw)
        return Outcome(task, pair=self._pair(task, answer), raw=answer.reply.text)

    def _pair(self, task: EditTask, answer: Usable[Edited]) -> EditPair:
        endpoint, reply, edited = self.config.endpoint, answer.reply, answer.value
        details: dict[str, Any] = {
            "mode": self.config.mode,
            **self.prompt.file.provenance(answer, endpoint),
            "raw": reply.text,
        }
        return EditPair(
            id=task.id,
            prompt=task.prompt,
            messages=task.messages,
            tools=task.tools,
            passages=task.passages,
            original=task.response,
            edited=edited.text,
            editor=Editor(kind="model", name=reply.model or endpoint.model, details=details),
            spans=edited.spans,
        )


def _tasks(config: EditorConfig) -> Sequence[EditTask]:
    tasks = load_or_raise(config.responses, EditTask)[: config.limit]
    if config.output.resolve() == config.responses.resolve():
        raise DataError(f"{config.output}: is the input as well; name another output.")
    return [task.model_copy(update={"id": task.id or str(number)}) for number, task in enumerate(tasks)]
