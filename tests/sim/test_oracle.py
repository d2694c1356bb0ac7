"""The oracle on answers worked by hand, and on everything the world itself can write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core.seeding import numpy_generator
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import Evidence
from spanwise.sim.demonstrations import PERFECT, Slips, write_answer
from spanwise.sim.grammar import Fact, parse, write_clause
from spanwise.sim.lexicon import RELATIONS
from spanwise.sim.oracle import judge, minimal_edit
from spanwise.sim.world import Entity, SimItem, Truth, make_items

_PLACE = Evidence(passage=0, sentences=(0,))
ILVA = Entity(
    "Ilva Ashner",
    "person",
    {"birthplace": "Varholm", "home": "Kelwick", "trade": "cooper", "birth_date": "4 May 1874", "instrument": "harp"},
)
OTHER = Entity("Magnus Grimcroft", "person", {"trade": "tailor"})
TRUTH = Truth(ILVA, ("birthplace", "trade", "birth_date"), dict.fromkeys(("birthplace", "trade", "home"), _PLACE),
              OTHER, ("trade",))  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "labels", "missing"),
    [
        ("Ilva Ashner was born in the town of Varholm, and she earns a living as a cooper.", ["correct"] * 2, ()),
        ("She earns a living as a baker.", ["Wrong-Grounding"], ("birthplace",)),
        ("Ilva Ashner now lives in the town of Kelwick.", ["Irrelevant"], ("birthplace", "trade")),
        ("Magnus Grimcroft earns a living as a tailor. He works by trade as a cooper.", ["Irrelevant"] * 2,
         ("birthplace", "trade")),
        ("Ilva Ashner was born on the day 4 May 1874.", ["Unverifiable"], ("birthplace", "trade")),
        ("Her place of birth is Varholm. She was born in the town of Varholm.", ["correct", "Redundant"], ("trade",)),
        ("Her place of birth is Varholm and her trade cooper the.", ["correct", "Incoherent"], ("trade",)),
        ("", [], ("birthplace", "trade")),
        ("\u200b!?\n", ["Incoherent"], ("birthplace", "trade")),
    ],
)  # fmt: skip
def test_judgement_of_hand_made_answers(answer: str, labels: list[str], missing: tuple[str, ...]) -> None:
    judgement = judge(answer, TRUTH)
    assert [finding.label for finding in judgement.findings] == labels
    assert judgement.missing == missing


def test_only_the_value_of_a_wrong_fact_is_marked() -> None:
    answer = "Ilva Ashner earns a living as a baker."
    (finding,) = judge(answer, TRUTH).findings
    assert finding.span.of(answer) == "baker"


def test_a_truncated_last_clause_is_not_held_against_the_answer() -> None:
    answer = "Ilva Ashner was born in the town of Varholm, and she earns a liv"
    assert [finding.label for finding in judge(answer, TRUTH, truncated=True).findings] == ["correct"]
    assert [finding.label for finding in judge(answer, TRUTH).findings] == ["correct", "Incoherent"]


def test_measures_of_a_mixed_answer() -> None:
    judgement = judge(
        "Her place of birth is Varholm. Her present home is in Kelwick. Her trade is that of a baker.", TRUTH
    )
    assert judgement.relevance_error == pytest.approx(1 / 3)
    assert judgement.fact_error == pytest.approx(1 / 2)
    assert judgement.completeness == 1
    assert judgement.quality == pytest.approx(1 - 1 - 0.5)


def test_minimal_edit_touches_only_what_errs() -> None:
    answer = "Ilva Ashner was born in the town of Varholm, and she now lives in Kelwick. Her trade is that of a baker."
    assert minimal_edit(answer, TRUTH) == "Ilva Ashner was born in the town of Varholm. Her trade is that of a cooper."
    good = "Ilva Ashner was born in the town of Varholm. She earns a living as a cooper."
    assert minimal_edit(good, TRUTH) == good


@given(st.text())
def test_any_text_is_judged_and_every_span_lies_inside_it(text: str) -> None:
    for finding in judge(text, TRUTH).findings:
        assert 0 <= finding.span.start < finding.span.end <= len(text)
        assert finding.clause.span.contains(finding.span)


def test_parser_reads_back_every_template_with_name_and_pronoun() -> None:
    for relation in RELATIONS:
        for paraphrase in range(len(relation.clauses)):
            for named in (True, False):
                text = write_clause(Fact("Talholm", relation.name, "Some Value 12"), relation, paraphrase, named=named)
                (clause,) = parse(text + ".")
                assert clause.relation is relation
                assert clause.value_span is not None
                assert clause.value_span.of(text) == "Some Value 12"
                assert clause.subject == ("Talholm" if named else None)


def _items(count: int = 200) -> list[SimItem]:
    return make_items(count, seed=7, split="test-oracle")


def test_perfect_answers_are_perfect_and_edits_mend_everything() -> None:
    generator = numpy_generator(7, "answers")
    for item in _items():
        perfect = judge(write_answer(item.truth, generator, PERFECT), item.truth)
        assert not perfect.errors
        assert not perfect.missing
        answer = write_answer(item.truth, generator, Slips())
        mended = judge(minimal_edit(answer, item.truth), item.truth)
        assert not mended.errors
        assert not mended.missing


def test_slips_make_each_kind_of_error_as_often_as_people_marked_them() -> None:
    generator = numpy_generator(7, "slips")
    findings = [
        f for item in _items(600) for f in judge(write_answer(item.truth, generator, Slips()), item.truth).findings
    ]
    share = {label: sum(f.label == label for f in findings) / len(findings) for label in {f.label for f in findings}}
    assert 0.25 < share["Irrelevant"] < 0.45
    assert 0.05 < share["Wrong-Grounding"] < 0.2
    assert share["Unverifiable"] > 0.01
    assert share["Redundant"] > 0.01
    assert share["Incoherent"] > 0.001


def test_passages_state_what_the_truth_says_and_every_sentence_parses() -> None:
    for item in _items():
        stated = {
            (clause.subject or passage.title, clause.relation.name, clause.value_span.of(sentence))
            for passage in item.record.passages
            for sentence in passage.sentences
            for clause in parse(sentence)
            if clause.relation is not None and clause.value_span is not None
        }
        truth = item.truth
        for relation, evidence in truth.stated.items():
            assert any(fact[1:] == (relation, truth.entity.facts[relation]) for fact in stated)
            sentence = item.record.passages[evidence.passage].sentences[evidence.sentences[0]]
            assert truth.entity.facts[relation] in sentence
        assert item.record.metadata == {}, "the truth never travels with the prompt"


def test_items_depend_on_seed_and_split_alone() -> None:
    assert make_items(3, seed=1, split="a") == make_items(3, seed=1, split="a")
    prompts: list[PromptRecord] = [items[0].record for items in (make_items(1, seed=1, split="a"),
                                   make_items(1, seed=2, split="a"), make_items(1, seed=1, split="b"))]  # fmt: skip
    assert len({record.prompt + str(record.passages) for record in prompts}) == 3
