"""The oracle as an editor: minimal edits of answers, as unreliable as people where the noise says so.

The editor mends what it sees. Noise is that of the annotator: an error or a missing fact can be overlooked, a right
clause can be struck out, and a fact that is there can be told again. Knows nothing of models.
"""

from dataclasses import replace

import numpy as np

from spanwise.feedback import Editor, EditPair, edit_pair
from spanwise.sim.annotator import NoiseConfig
from spanwise.sim.oracle import Finding, Judgement, judge, mend
from spanwise.sim.world import SimItem

EDITOR = Editor(kind="oracle", name="simulated")


def edit_answer(
    item: SimItem, response: str, generator: np.random.Generator, noise: NoiseConfig, *, truncated: bool = False
) -> EditPair | None:
    """The pair of an answer and its edit, or None where the editor sees nothing to mend."""
    seen = _seen(judge(response, item.truth, truncated=truncated), item, generator, noise)
    edited = mend(response, seen, item.truth) if seen.errors or seen.missing else response
    if edited == response or not edited:
        return None
    return edit_pair(
        response,
        edited,
        id=item.record.id,
        prompt=item.record.prompt,
        passages=item.record.passages,
        editor=EDITOR,
        provenance={"truncated": truncated},
    )


def _seen(judgement: Judgement, item: SimItem, generator: np.random.Generator, noise: NoiseConfig) -> Judgement:
    missing = tuple(
        relation
        for relation in item.truth.answerable
        if generator.random() < (1 - noise.miss if relation in judgement.missing else noise.false_alarm)
    )
    findings = tuple(_perceived(finding, generator, noise) for finding in judgement.findings)
    return Judgement(findings, missing, judgement.answerable)


def _perceived(finding: Finding, generator: np.random.Generator, noise: NoiseConfig) -> Finding:
    if finding.label == "correct":
        return replace(finding, label="Irrelevant") if generator.random() < noise.false_alarm else finding
    return replace(finding, label="correct") if generator.random() < noise.miss else finding
