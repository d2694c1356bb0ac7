"""A run of an editor: every response of a file is asked about, answers become edit pairs, the fit ones are written.

Beside the output lie the replies (`.replies.jsonl`, written one by one as they are paid for), what was refused and
why (`.refused.jsonl`) and the report (`.report.json`). A run that was stopped goes on from its replies. Nothing that
an editor does is fatal; what the user set wrong is refused before the first call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanwise.core import DataError, write_json, write_jsonl
from spanwise.feedback import Editor, EditPair, load_or_raise, write_records
from spanwise.feedback.statistics import Judge, fingerprint, validate_edits
from spanwise.llm.calls import Caller, in_parallel
from spanwise.llm.chat import CallError, ChatClient, ChatReply, ChatRequest
from spanwise.llm.clients import make_client
from spanwise.llm.editors.answers import Edited, UnusableAnswerError, read_operations, read_rewrite
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.editors.prompting import EditTask, Prompt, load_prompt
from spanwise.llm.editors.report import EditorReport, Outcome
from spanwise.llm.replies import ReplyBook


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


def beside(output: Path, part: str, kind: str = "jsonl") -> Path:
    """Where a part of the run lies that is not the output itself."""
    return output.with_name(f"{output.name.removesuffix('.gz').removesuffix('.jsonl')}.{part}.{kind}")


@dataclass(frozen=True, slots=True)
class _Run:
    config: EditorConfig
    prompt: Prompt
    caller: Caller

    def edit(self, task: EditTask) -> Outcome:
        """One response, asked about until an answer can be used or the attempts are used up."""
        turns: list[tuple[str, str]] = []
        while True:
            request = self.prompt.request(task, self.config, turns)
            try:
                reply = self.caller.ask(request)
            except CallError as error:
                return Outcome(task, reason=error.kind, detail=error.reason, raw=error.paid.text if error.paid else "")
            try:
                edited = self._read(reply, task.response)
            except UnusableAnswerError as error:
                turns.append((reply.text or "(nothing)", f"{error.complaint} Answer again in the form that was asked."))
                if len(turns) < self.config.attempts and error.fault != "cut off":
                    continue
                return Outcome(task, reason=error.fault, detail=error.complaint, raw=reply.text)
            return Outcome(task, pair=self._pair(task, edited, request, reply, len(turns) + 1), raw=reply.text)

    def _read(self, reply: ChatReply, original: str) -> Edited:
        if reply.finish == "length":
            limit = self.config.endpoint.max_new_tokens
            raise UnusableAnswerError("cut off", f"The answer ran into the limit of {limit} tokens.")
        read = read_operations if self.config.mode == "operations" else read_rewrite
        return read(reply.text, original)

    def _pair(self, task: EditTask, edited: Edited, request: ChatRequest, reply: ChatReply, attempt: int) -> EditPair:
        endpoint = self.config.endpoint
        details: dict[str, Any] = {
            "mode": self.config.mode,
            "prompt_file": self.prompt.name,
            "prompt_sha256": self.prompt.sha256,
            "provider": endpoint.provider,
            "base_url": endpoint.base_url,
            "requested_model": endpoint.model,
            "temperature": endpoint.temperature,
            "seed": endpoint.seed,
            "request_key": request.key,
            "reply_id": reply.reply_id,
            "received": reply.received,
            "attempt": attempt,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cost": endpoint.cost(reply.input_tokens, reply.output_tokens),
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
