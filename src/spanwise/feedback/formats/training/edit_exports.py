"""Edit pairs as what other trainers read: the edited answers as demonstrations, or both sides as preferences.

Demonstrations are for `spanwise sft`; preferences have TRL's columns (prompt, chosen, rejected), the prompt as the
policy reads it. A pair that cannot be used is counted with its reason. Knows nothing of tokens.
"""

from collections import Counter
from collections.abc import Iterable

from spanwise.feedback.edits import EditPair
from spanwise.feedback.formats.contract import Exported
from spanwise.feedback.prompts import DemonstrationRecord, build_prompt
from spanwise.feedback.record import FilledText, Record, Text


class PreferenceRecord(Record):
    """A prompt with a better and a worse completion, in TRL's columns; a completion begins with its blank."""

    prompt: FilledText
    chosen: Text
    rejected: Text


def demonstrations_of(pairs: Iterable[EditPair]) -> Exported[DemonstrationRecord]:
    """The edited answers to imitate; an answer that its editor left as it was is one as well."""
    counts: Counter[str] = Counter()
    demonstrations: list[DemonstrationRecord] = []
    for pair in pairs:
        reason = _unfit(pair)
        if reason is not None:
            counts[reason] += 1
            continue
        demonstrations.append(
            DemonstrationRecord(id=pair.id, prompt=pair.prompt, passages=pair.passages, completion=pair.edited)
        )
    return Exported(demonstrations, dict(counts))


def preferences_of(pairs: Iterable[EditPair]) -> Exported[PreferenceRecord]:
    """The edit preferred to its original; identical pairs prefer nothing."""
    counts: Counter[str] = Counter()
    preferences: list[PreferenceRecord] = []
    for pair in pairs:
        reason = _unfit(pair)
        if reason is None and pair.original.strip() == pair.edited.strip():
            reason = "identical"
        if reason is not None:
            counts[reason] += 1
            continue
        prompt = build_prompt(pair.prompt, pair.passages)
        chosen, rejected = (f" {text.strip()}" for text in (pair.edited, pair.original))
        preferences.append(PreferenceRecord(prompt=prompt, chosen=chosen, rejected=rejected))
    return Exported(preferences, dict(counts))


def _unfit(pair: EditPair) -> str | None:
    if not pair.prompt.strip():
        return "no prompt"
    return None if pair.edited.strip() else "empty edit"
