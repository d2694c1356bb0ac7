import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spanwise.cli.feedback import app
from spanwise.core import DataError
from spanwise.feedback import FeedbackRecord, Preference, Response, load_or_raise, mark, write_records
from spanwise.feedback.crowds import weigh_annotators
from spanwise.reward_models import RelevanceRule
from spanwise.reward_models.data import label_records

TEXT = "The tower is tall. It is old. The river runs by. It is long."
PARTS = [(0, 18), (19, 29), (30, 48), (49, 60)]


def record(item, person, wrong, *, winner="first", category="Irrelevant", marked=True):
    spans = tuple(mark(TEXT, *PARTS[part], category) for part in wrong)
    return FeedbackRecord(
        id=f"{item}/{person}",
        prompt=f"question {item}?",
        responses=(Response(text=TEXT, marked=marked, spans=spans), Response(text="Other.")),
        preferences=(Preference(first=0, second=1, winner=winner),),
        annotator=person,
    )


@pytest.fixture
def crowd():
    """Two careful people and one who marks by chance; who turns to chance half way is careful before."""
    random = np.random.default_rng(0)
    records = []
    for item in range(60):
        truth = [part for part in range(4) if random.random() < 0.4]
        better = "first" if random.random() < 0.5 else "second"
        other = {"first": "second", "second": "first"}[better]
        for person in ("ada", "bea"):
            seen = [part for part in range(4) if (part in truth) != (random.random() < 0.05)]
            records.append(record(item, person, seen, winner=better if random.random() < 0.95 else other))
        chance, tired = ([part for part in range(4) if random.random() < 0.5] for _ in range(2))
        records.append(record(item, "cy", chance, winner="first" if random.random() < 0.5 else "second"))
        records.append(record(item, "dan", truth if item < 30 else tired, winner=better))
    return records


def test_who_marks_by_chance_is_named_and_who_tires_too(crowd):
    found = weigh_annotators(crowd)
    (marks, pairs) = found.categories
    assert (marks.category, pairs.category) == ("Irrelevant", "preferences")
    figures = {row.annotator: row for row in marks.annotators}
    assert figures["ada"].informedness > 0.75
    assert figures["cy"].low < 0 < 0.3 > figures["cy"].informedness
    assert figures["dan"].drift < -0.5
    said = " ".join(found.warnings)
    assert "cy: Irrelevant cannot be told from chance" in said
    assert "dan: Irrelevant falls by" in said
    assert "ada" not in said
    assert (found.items, found.overlapping) == (60, 60)


def test_the_consensus_has_soft_labels_that_reward_models_learn(crowd):
    found = weigh_annotators(crowd)
    assert all(FeedbackRecord.model_validate(r.model_dump()) == r for r in found.consensus)
    first = found.consensus[0]
    assert first.annotator == "consensus"
    assert first.provenance["annotators"] == ["ada", "bea", "cy", "dan"]
    (labelled, *_), _ = label_records(found.consensus, spans={"relevance": RelevanceRule()})
    beliefs = {(b.start, b.end): b.probability for b in first.responses[0].beliefs}
    labels = labelled.segments["relevance"][0]
    assert [label.correct for label in labels] == pytest.approx([1 - beliefs.get(part, 0.0) for part in PARTS])
    assert {(m.start, m.end) for m in first.responses[0].spans} == {p for p, b in beliefs.items() if b > 0.5}
    (pair,) = labelled.pairs["preference"]
    assert 0.9 < pair.confidence == first.preferences[0].confidence <= 1


def test_one_judgement_is_worth_what_its_annotator_is(crowd):
    """An item that only the careless one judged is believed as little as all that person's work."""
    (lonely,) = [r for r in weigh_annotators([*crowd, record(99, "cy", [0])]).consensus if r.id == "99/cy"]
    (trusted,) = [r for r in weigh_annotators([*crowd, record(99, "ada", [0])]).consensus if r.id == "99/ada"]
    assert lonely.responses[0].beliefs[0].probability < 0.6 < 0.8 < trusted.responses[0].beliefs[0].probability


def test_what_nobody_looked_at_is_no_vote(crowd):
    unread = [record(99, person, [], marked=False) for person in ("ada", "bea")]
    consensus = weigh_annotators([*crowd, *unread]).consensus[-1]
    assert not consensus.responses[0].marked
    assert not consensus.responses[0].beliefs


def test_ties_of_most_people_stay_ties(crowd):
    tied = [record(99, person, [], winner="tie") for person in ("ada", "bea", "dan")]
    tied.append(record(99, "cy", [], winner="second"))
    assert weigh_annotators([*crowd, *tied]).consensus[-1].preferences[0].winner == "tie"


def test_a_preference_listed_the_other_way_round_is_the_same(crowd):
    turned = []
    for said in crowd:
        winner = "second" if said.preferences[0].winner == "first" else "first"
        turned.append(said.model_copy(update={"preferences": (Preference(first=1, second=0, winner=winner),)}))
    assert weigh_annotators(turned).categories[1] == weigh_annotators(crowd).categories[1]


def test_what_is_no_overlapping_work_of_named_people_is_refused(crowd):
    with pytest.raises(DataError, match="No two annotators"):
        weigh_annotators([record(1, "ada", []), record(2, "bea", [])])
    with pytest.raises(DataError, match="has no annotator"):
        weigh_annotators([crowd[0].model_copy(update={"annotator": None})])


def test_what_the_consensus_does_not_hold_is_counted(crowd):
    spans = (mark(TEXT, 0, 18, "Irrelevant", severity="major", note="so"),)
    first = crowd[0]
    graded = first.model_copy(
        update={"responses": (first.responses[0].model_copy(update={"spans": spans}), first.responses[1])}
    )
    assert weigh_annotators([graded, *crowd[1:]]).left_out == {"severities of marks": 1, "notes of marks": 1}


def test_the_command_prints_figures_and_writes_soft_labels(crowd, tmp_path):
    path, output = tmp_path / "crowd.jsonl", tmp_path / "soft.jsonl"
    write_records(path, crowd)
    result = CliRunner().invoke(app, ["reliability", str(path), "--output", str(output)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Wrote 60 records with soft labels" in result.output
    assert "best for its cost" in result.output
    assert len(load_or_raise(output, FeedbackRecord)) == 60
    shown = json.loads(CliRunner().invoke(app, ["reliability", str(path), "--json"], catch_exceptions=False).stdout)
    assert [c["category"] for c in shown["categories"]] == ["Irrelevant", "preferences"]
    assert len(shown["categories"][0]["worth"]) == 4
