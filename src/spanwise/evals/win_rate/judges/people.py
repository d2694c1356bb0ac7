"""People as the judge: pairs go out as feedback records for the annotation app, preferences come back from them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from spanwise.evals.win_rate.judges.base import Case, Reply
from spanwise.feedback import FeedbackRecord, PromptRecord, Response, Unscored, load_or_raise, write_records
from spanwise.text import normalize_newlines

Asked = Mapping[str, PromptRecord]
"""The prompts behind instructions that carry passages: people see the passages beside the prompt."""
_SHARES = {"first": 0.0, "second": 1.0, "tie": 0.5}


def write_pairs(path: Path, cases: Sequence[Case], asked: Asked = MappingProxyType({})) -> int:
    """Writes one unmarked record per case, in the order in which people shall see the answers; returns how many."""
    records = {_key(case): case for case in cases}
    return write_records(path, (_record(key, case, asked) for key, case in records.items()))


class PeopleJudge:
    """Reads the preferences in a file of feedback records; several people's count as their mean."""

    sees_order = False

    def __init__(self, path: Path, asked: Asked = MappingProxyType({})) -> None:
        self.name = "people"
        self._asked = asked
        self._shares = _preferences(load_or_raise(path, FeedbackRecord))

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Looks each case up, in either order."""
        for position, case in enumerate(cases):
            texts = (_prompt(case.instruction, self._asked), case.first, case.second)
            prompt, first, second = map(_storable, texts)
            shares = [*self._shares.get((prompt, first, second), ())]
            shares += [1 - share for share in self._shares.get((prompt, second, first), ())]
            yield position, Reply(sum(shares) / len(shares) if shares else Unscored("nobody compared these answers"))


def _preferences(records: Sequence[FeedbackRecord]) -> Mapping[tuple[str, str, str], list[float]]:
    shares: dict[tuple[str, str, str], list[float]] = {}
    for record in records:
        for preference in record.preferences:
            first, second = record.responses[preference.first].text, record.responses[preference.second].text
            shares.setdefault((record.prompt, first, second), []).append(_SHARES[preference.winner])
    return shares


def _record(key: str, case: Case, asked: Asked) -> FeedbackRecord:
    texts = (Response(text=_storable(text)) for text in (case.first, case.second))
    prompt = _storable(_prompt(case.instruction, asked))
    passages = asked[case.instruction].passages if case.instruction in asked else ()
    return FeedbackRecord(id=key, prompt=prompt, passages=passages, responses=tuple(texts))


def _prompt(instruction: str, asked: Asked) -> str:
    return asked[instruction].prompt if instruction in asked else instruction


def _key(case: Case) -> str:
    joined = "\x1f".join((case.instruction, case.first, case.second))
    return hashlib.sha256(joined.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _storable(text: str) -> str:
    """What records can hold: LF line breaks and neither NUL nor lone surrogates."""
    return normalize_newlines(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()
