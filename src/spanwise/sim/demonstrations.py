"""Imperfect demonstrations: what a hurried writer answers, so that a policy trained on them errs by itself.

The writer knows the entity and its facts, and slips at stated rates: leaves things out, adds what nobody
asked, mixes up values, repeats itself, invents what the passages do not say, breaks off. The rates are near
those of the answers that people marked in QA-Feedback (wu2023.md 1.4), where half of all sub-sentences err.
"""

from dataclasses import dataclass

import numpy as np

from spanwise.feedback import DemonstrationRecord
from spanwise.sim.grammar import Fact
from spanwise.sim.lexicon import BY_NAME
from spanwise.sim.world import SimItem, Truth, draw_value, write_facts


@dataclass(frozen=True, slots=True)
class Slips:
    """Probability of each slip, per chance to make it."""

    leave_out: float = 0.25
    add_own: float = 0.45
    add_other: float = 0.15
    wrong_value: float = 0.2
    invent: float = 0.6
    repeat: float = 0.12
    break_off: float = 0.03


PERFECT = Slips(leave_out=0, add_own=0, add_other=0, wrong_value=0, invent=0, repeat=0, break_off=0)


def write_demonstration(item: SimItem, generator: np.random.Generator, slips: Slips) -> DemonstrationRecord:
    """The item's prompt with an answer that slips at the given rates."""
    return DemonstrationRecord(**dict(item.record), completion=write_answer(item.truth, generator, slips))


def write_answer(truth: Truth, generator: np.random.Generator, slips: Slips) -> str:
    """An answer to the item's question; never empty."""
    facts = _asked_facts(truth, generator, slips) + _added_facts(truth, generator, slips)
    if not facts:
        facts = [truth.entity.fact((truth.answerable or tuple(truth.stated))[0])]
    if generator.random() < slips.repeat:
        facts.append(facts[int(generator.integers(len(facts)))])
    text = _write(facts, generator)
    if generator.random() < slips.break_off:
        words = text.split()
        text = " ".join(words[: int(generator.integers(3, len(words)))]) + "."
    return text


def _asked_facts(truth: Truth, generator: np.random.Generator, slips: Slips) -> list[Fact]:
    facts: list[Fact] = []
    for relation in truth.asked:
        known = relation in truth.stated
        if generator.random() < (slips.leave_out if known else 1 - slips.invent):
            continue
        wrong = not known or generator.random() < slips.wrong_value
        facts.append(Fact(truth.entity.name, relation, _wrong(truth, relation, generator)) if wrong
                     else truth.entity.fact(relation))  # fmt: skip
    return facts


def _added_facts(truth: Truth, generator: np.random.Generator, slips: Slips) -> list[Fact]:
    unasked = [relation for relation in truth.stated if relation not in truth.asked]
    facts = [truth.entity.fact(relation) for relation in unasked if generator.random() < slips.add_own / 1.5]
    if generator.random() < slips.add_other:
        facts.append(truth.other.fact(truth.other_stated[int(generator.integers(len(truth.other_stated)))]))
    return facts


def _wrong(truth: Truth, relation: str, generator: np.random.Generator) -> str:
    """A value that is not the stated one: the other entity's where the passages give it, else any of its type."""
    if relation in truth.other_stated and generator.random() < 0.6:
        return truth.other.facts[relation]
    right = truth.entity.facts[relation]
    value = draw_value(generator, BY_NAME[relation].value_type)
    while value == right:
        value = draw_value(generator, BY_NAME[relation].value_type)
    return value


def _write(facts: list[Fact], generator: np.random.Generator) -> str:
    """Sentences of one or two facts, own facts first named and then with a pronoun; others always named."""
    sentences: list[str] = []
    previous: str | None = None
    rest = list(facts)
    while rest:
        group = [rest.pop(0)]
        if rest and rest[0].subject == group[0].subject and generator.random() < 0.5:
            group.append(rest.pop(0))
        named = group[0].subject != previous or generator.random() < 0.2
        previous = group[0].subject
        sentences.append(write_facts(generator, group, named=named))
    return " ".join(sentences)
