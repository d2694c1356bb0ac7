"""What the base model of the simulated world reads while it is trained: lessons of weighted pieces of text.

A lesson is a prompt of the world, followed by an answer without slips, by a retelling of all that the passages say,
or by a pupil's answer in which single clauses carry a teacher's mark. How a model learns from them is
`pretrain.py`'s business.
"""

from dataclasses import replace

import numpy as np

from spanwise.feedback.prompts import PromptRecord
from spanwise.sim.demonstrations import PERFECT, Slips, write_answer
from spanwise.sim.grammar import Clause, Fact, parse
from spanwise.sim.lexicon import BY_NAME, relations_of
from spanwise.sim.world import (
    KINDS,
    Entity,
    Truth,
    draw_entity,
    draw_value,
    make_item,
    write_facts,
    write_passage,
    write_question,
)

Lesson = list[tuple[str, float]]
"""Pieces of one text, each with the weight of its tokens in the loss."""

CONTEXT_WEIGHT = 0.3  # most of the context cannot be foreseen: its loss teaches the words, not the reading
PUPIL_WEIGHT = 0.1  # a pupil's slips are not to be imitated
MARK_WEIGHT = 3.0
PUPIL = Slips(leave_out=0.1, add_own=0.6, add_other=0.3, wrong_value=0.35, invent=0.5, repeat=0.15, break_off=0)


def draw_lesson(generator: np.random.Generator, progress: float, marked: float) -> Lesson:
    """One lesson; `progress` runs from 0 to 1 and moves from short retellings to full questions.

    `marked` is the share of lessons with a pupil's marked answer.
    """
    if marked and generator.random() < marked:
        return _marked(generator)
    drill = max(0.1, 0.95 - 2 * progress)
    if generator.random() < drill:
        return _drill(generator)
    return full_lesson(generator) if generator.random() < 0.35 + 0.5 * progress else _retell(generator)


def full_lesson(generator: np.random.Generator) -> Lesson:
    """A full prompt with an answer that says what was asked, and now and then also what was not."""
    item = make_item(generator, "lesson")
    slips = replace(PERFECT, add_own=0.5 * float(generator.random() < 0.3))
    return _lesson(item.record, write_answer(item.truth, generator, slips))


def _lesson(record: PromptRecord, continuation: str) -> Lesson:
    return [(record.model_input, CONTEXT_WEIGHT), (f" {continuation}", 1.0)]


def _drill(generator: np.random.Generator) -> Lesson:
    """One short passage, retold."""
    kind = KINDS[generator.integers(3)]
    entity = draw_entity(generator, kind)
    names = [relation.name for relation in relations_of(kind)]
    chosen = [names[int(i)] for i in generator.permutation(len(names))[: int(generator.integers(2, 5))]]
    passage, _ = write_passage(generator, entity, chosen)
    asked = chosen[: int(generator.integers(1, 3))]
    prompt = PromptRecord(prompt=write_question(generator, entity, asked), passages=(passage,))
    return _lesson(prompt, write_passage(generator, entity, chosen)[0].text)


def _retell(generator: np.random.Generator) -> Lesson:
    """A full prompt, followed by everything that both passages say."""
    truth = (item := make_item(generator, "lesson")).truth
    told = [write_passage(generator, truth.entity, tuple(truth.stated))[0].text,
            write_passage(generator, truth.other, truth.other_stated)[0].text]  # fmt: skip
    first = int(generator.integers(2))
    return _lesson(item.record, f"{told[first]} {told[1 - first]}")


def _marked(generator: np.random.Generator) -> Lesson:
    """A pupil's answer with slips; some of its clauses are followed by a mark.

    One lesson marks either what the passages say of the clause (+ so, - not so, ? not said) or whether it was wanted
    (! asked, ~ not asked, = said before). Only some clauses are marked, so that at the end of every clause
    the model has to be ready for a mark of either sort.
    """
    item = make_item(generator, "lesson")
    wanted = generator.random() < 0.4
    claims = not wanted and generator.random() < 0.7
    answer = _claims(item.truth, generator) if claims else write_answer(item.truth, generator, PUPIL)
    lesson: Lesson = [(item.record.model_input, CONTEXT_WEIGHT)]
    done, said = 0, set[tuple[str | None, str]]()
    for clause in parse(answer):
        mark = _wanted(clause, item.truth, said) if wanted else _so(clause, answer, item.truth)
        if clause.relation is not None:
            said.add((clause.subject, clause.relation.name))
        end = clause.span.end + 1  # the comma or the full stop stays before the mark
        if generator.random() < 0.5:
            lesson += [((" " if done == 0 else "") + answer[done:end], PUPIL_WEIGHT), (mark, MARK_WEIGHT)]
            done = end
    if done < len(answer):
        lesson.append(((" " if done == 0 else "") + answer[done:], PUPIL_WEIGHT))
    return lesson


def _claims(truth: Truth, generator: np.random.Generator) -> str:
    """Claims about both entities, half of them with a value that is not the entity's own."""
    sentences: list[str] = []
    previous = ""
    for _ in range(int(generator.integers(2, 6))):
        own = generator.random() < 0.7
        entity, stated = (truth.entity, tuple(truth.stated)) if own else (truth.other, truth.other_stated)
        names = stated if generator.random() < 0.85 else tuple(entity.facts)
        chosen = [names[int(i)] for i in generator.permutation(len(names))[: int(generator.integers(1, 3))]]
        facts = [_claim(truth, entity, name, generator) for name in chosen]
        sentences.append(write_facts(generator, facts, named=entity.name != previous or generator.random() < 0.2))
        previous = entity.name
    return " ".join(sentences)


def _claim(truth: Truth, entity: Entity, relation: str, generator: np.random.Generator) -> Fact:
    """A fact, or one with a value of the other entity, of another relation of the same type, or of none."""
    if generator.random() < 0.5:
        return entity.fact(relation)
    kind = BY_NAME[relation].value_type
    near = [facts[name] for facts in (truth.entity.facts, truth.other.facts) for name in facts
            if BY_NAME[name].value_type == kind and facts[name] != entity.facts[relation]]  # fmt: skip
    other = (
        near[int(generator.integers(len(near)))] if near and generator.random() < 0.6 else draw_value(generator, kind)
    )
    return Fact(entity.name, relation, other)


def _so(clause: Clause, answer: str, truth: Truth) -> str:
    own = clause.subject == truth.entity.name
    entity, stated = (truth.entity, tuple(truth.stated)) if own else (truth.other, truth.other_stated)
    if clause.relation is None or clause.value_span is None or clause.relation.name not in stated:
        return "?"
    return "+" if entity.facts[clause.relation.name] == clause.value_span.of(answer) else "-"


def _wanted(clause: Clause, truth: Truth, said: set[tuple[str | None, str]]) -> str:
    if clause.relation is None or clause.subject != truth.entity.name or clause.relation.name not in truth.asked:
        return "~"
    return "=" if (clause.subject, clause.relation.name) in said else "!"
