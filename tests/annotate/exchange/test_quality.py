"""Gold and training items, suggestions, priority, adjudication, agreement and progress of a project, rounds."""

import json

import pytest
from doubles.annotation import TEXT, lease_of, repetition, spans_only, wrong_fact

from spanwise.annotate.exchange.panel import agreement_panel, measure_agreement
from spanwise.annotate.manage.listing import list_items
from spanwise.annotate.rounds.rounds import RoundConfig, joined, next_round
from spanwise.annotate.store.annotations import annotations_of
from spanwise.annotate.store.body import Body
from spanwise.annotate.store.items import get_item
from spanwise.annotate.store.refusals import AccessError, SubmissionError
from spanwise.annotate.store.setup import register
from spanwise.annotate.work.adjudication import Verdict, adjudicate, adjudication_queue, lanes
from spanwise.annotate.work.gold import gold_report, score_against, set_gold
from spanwise.annotate.work.overview import own_progress, progress
from spanwise.annotate.work.priority import prioritise, select_items, uncertainty
from spanwise.annotate.work.queue import NothingNow, claim
from spanwise.annotate.work.suggestions import is_held_out, suggest
from spanwise.core.errors import ConfigError, DataError
from spanwise.core.files import write_jsonl
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

RIGHT = {"spans": [wrong_fact()]}


def _with(world, **changes):
    world.project = register(world.database, spans_only(**changes))


class Source:
    """Calls every sentence with "Oslo" wrong, and cannot score the last one."""

    name, category, density, version = "double", "factuality", "sentence", "1"

    def score(self, samples):
        found = []
        for sample in samples:
            *spans, last = get_segmenter("sentence")(sample.response)
            scores = [SegmentScore(span, -0.5 if "Oslo" in span.of(sample.response) else 0.9) for span in spans]
            found.append(SegmentScores(scores=(*scores, SegmentScore(last, Unscored("too long")))))
        return found


def test_training_items_come_first_and_teach(world):
    _with(world, training_pass=0.6)
    train, item = world.items(1, prefix="train") + world.items(1)
    set_gold(world.database, world.project, train, Body.model_validate(RIGHT), kind="train", by=world.boss)
    held = world.claim()
    assert (held.item_id, held.kind) == (train, "train")
    receipt = world.submit("ann", held, {"spans": [repetition()]})
    assert receipt.lesson.score == 0.0
    assert receipt.lesson.expected == Body.model_validate(RIGHT)
    assert any("Not found" in remark for remark in receipt.lesson.remarks)
    found = claim(world.database, world.project, world.user("ann"))
    assert isinstance(found, NothingNow)
    assert found.training_failed
    world.submit("bob", world.claim("bob"), RIGHT)
    assert world.claim("bob").item_id == item


def test_gold_items_come_unawares_and_are_scored(world):
    _with(world, gold_every=2)
    (gold,) = world.items(1, prefix="gold")
    world.items(6)
    set_gold(world.database, world.project, gold, Body.model_validate(RIGHT), kind="gold", by=world.boss)
    seen = []
    for _ in range(5):
        held = world.claim()
        seen.append(held.kind)
        receipt = world.submit("ann", held, RIGHT)
        assert receipt.lesson is None
        world.clock.advance(minutes=1)
    assert (seen[0], seen.count("gold")) == ("normal", 1)
    (row,) = gold_report(world.database, world.project)
    assert (row.name, row.answered, row.mean) == ("ann", 1, 1.0)
    assert progress(world.database, world.project).items == 6
    with pytest.raises(SubmissionError):
        set_gold(world.database, world.project, gold, Body(), kind="gold", by=world.boss)
    with pytest.raises(AccessError):
        set_gold(world.database, world.project, gold, Body.model_validate(RIGHT), kind="gold", by=world.user("ann"))


@pytest.mark.parametrize(("given", "expected", "score"), [
    (RIGHT, RIGHT, 1.0),
    ({"no_errors": ["r1"]}, {"no_errors": ["r1"]}, 1.0),
    ({"no_errors": ["r1"]}, RIGHT, 0.0),
    ({"spans": [wrong_fact(start=4, quote=TEXT[4:21])]}, RIGHT, 1.0),
    ({"spans": [wrong_fact(evidence=[{"passage": 0, "sentences": [1]}])]}, RIGHT, 0.5),
    ({"spans": [wrong_fact(), repetition()]}, RIGHT, (2 / 3 + 1) / 2),
])  # fmt: skip
def test_scores_forgive_borders_and_nothing_else(given, expected, score):
    assert score_against(Body.model_validate(given), Body.model_validate(expected))[0] == pytest.approx(score)


def test_suggestions_are_stored_once_and_shown_unless_held_out(world):
    _with(world, suggestions="prefilled", suggestion_holdout=0.5)
    ids = world.items(12)
    assert suggest(world.database, world.project, Source()) == 12
    assert suggest(world.database, world.project, Source()) == 0
    shown = {}
    for _ in range(12):
        held = world.claim()
        shown[held.item_id] = bool(held.suggestions)
        if held.suggestions:
            spans = held.suggestions[0].body.spans
            assert [(s.quote, s.category, s.origin) for s in spans] == [
                (TEXT[:21], "Wrong-Grounding", "model"),
                (TEXT[22:43], "Wrong-Grounding", "model"),
            ]
            assert held.suggestions[0].score == -0.5
        world.submit("ann", held)
    assert shown == {item_id: not is_held_out(item_id, 0.5) for item_id in ids}
    assert {said.suggested for i in ids for said in annotations_of(world.database, world.project, i)} == {True, False}


def test_a_source_without_a_category_is_refused(world):
    source = Source()
    source.category = "humour"
    with pytest.raises(ConfigError):
        suggest(world.database, world.project, source)


def test_uncertainty_is_highest_at_the_border_and_none_where_nothing_was_scored():
    def scores(*values):
        return SegmentScores(scores=tuple(SegmentScore(Span(0, 1), value) for value in values))

    assert uncertainty([scores(1.0, -1.0)]) == 0
    assert uncertainty([scores(1.0, 0.0)]) == 1
    assert uncertainty([scores(0.9), scores(-0.4)]) == pytest.approx(0.6)
    assert uncertainty([scores(3.0)]) == 0
    assert uncertainty([scores(Unscored("x")), SegmentScores(missing=Unscored("y"))]) is None


def test_the_selection_holds_the_most_uncertain_and_a_lot_with_its_probability():
    scores = {f"i{n:02}": n / 100 for n in range(100)}
    chosen = select_items(scores, size=20, random_share=0.25, seed=0)
    assert {one.id for one in chosen if one.reason == "uncertain"} == {f"i{n}" for n in range(85, 100)}
    lot = [one for one in chosen if one.reason == "random"]
    assert len(lot) == 5
    assert {one.probability for one in lot} == {5 / 85}
    assert sorted(one.priority for one in chosen) == list(range(1, 21))
    assert chosen == select_items(scores, size=20, random_share=0.25, seed=0)
    drawn = [one.id for seed in range(400) for one in select_items(scores, size=20, random_share=0.25, seed=seed)]
    assert drawn.count("i00") / 400 == pytest.approx(5 / 85, abs=0.035)
    with pytest.raises(ConfigError):
        select_items(scores, size=5, random_share=2, seed=0)


def test_the_most_uncertain_items_are_lent_first(world):
    ids = world.items(4)
    prioritise(world.database, world.project, {ids[2]: 0.9, ids[0]: 0.1}, size=1, random_share=0.0, by=world.boss)
    assert world.claim().item_id == ids[2]
    assert {row.id: row.priority for row in list_items(world.database, world.project).rows}[ids[2]] == 1.0


def test_adjudication_begins_with_the_most_disagreement_and_keeps_what_was_said(world):
    ids = world.items(2, overlap=2)
    bodies = {
        (ids[0], "ann"): RIGHT,
        (ids[0], "bob"): RIGHT,
        (ids[1], "ann"): RIGHT,
        (ids[1], "bob"): {"no_errors": ["r1"]},
    }
    for name in ("ann", "bob"):
        for _ in ids:
            held = world.claim(name)
            world.submit(name, held, bodies[held.item_id, name])
    page = adjudication_queue(world.database, world.project)
    assert [(row.item_id, row.disagreement) for row in page.rows] == [(ids[1], 1.0), (ids[0], 0.0)]
    shown = lanes(world.database, world.project, world.boss, ids[0])
    assert [lane.label for lane in shown.lanes] == ["A", "B"]
    assert shown.agreed == Body.model_validate(RIGHT)
    assert lanes(world.database, world.project, world.boss, ids[1]).agreed == Body()
    verdict = Verdict(
        item_id=ids[1], client_submission_id="verdict-1", body=RIGHT, source_ids=(shown.lanes[0].annotation_id,)
    )
    with pytest.raises(LookupError):  # that annotation is of the other item
        adjudicate(world.database, world.project, world.boss, verdict)
    sources = tuple(lane.annotation_id for lane in lanes(world.database, world.project, world.boss, ids[1]).lanes)
    verdict = verdict.model_copy(update={"source_ids": sources})
    with pytest.raises(AccessError):
        adjudicate(world.database, world.project, world.user("ann"), verdict)
    receipts = [adjudicate(world.database, world.project, world.boss, verdict) for _ in range(2)]
    assert [receipt.repeated for receipt in receipts] == [False, True]
    again = verdict.model_copy(update={"client_submission_id": "verdict-2", "body": {"no_errors": ["r1"]}})
    assert adjudicate(world.database, world.project, world.boss, again).version == 2
    kinds = [said.kind for said in annotations_of(world.database, world.project, ids[1])]
    assert kinds == ["human", "human", "adjudicated"]
    assert lanes(world.database, world.project, world.boss, ids[1]).verdict == Body(no_errors=("r1",))
    assert adjudication_queue(world.database, world.project).total == 1


def test_agreement_and_progress_of_a_project(world):
    ids = world.items(3, overlap=2)
    for name, body in (("ann", RIGHT), ("bob", {"no_errors": ["r1"]})):
        for number in range(2):
            held = world.claim(name)
            world.submit(name, held, RIGHT if number == 0 else body)
    found = measure_agreement(world.database, world.project, resamples=20)
    assert (found.items, found.annotators) == (2, ("ann", "bob"))
    wrong = next(row for row in found.categories if row.category == "Wrong-Grounding")
    assert wrong.alpha.units == 2 * len(get_item(world.database, world.project, ids[0]).responses[0].segments.sentences)
    assert found.spans.f1 == pytest.approx(2 / 3)
    held = world.claim("ann")
    seen = progress(world.database, world.project)
    assert (seen.items, seen.slots_submitted, seen.slots_leased, seen.slots_open) == (3, 4, 1, 1)
    assert [(pace.name, pace.submitted, pace.median_seconds) for pace in seen.people] == [
        ("ann", 2, 1.5),
        ("bob", 2, 1.5),
    ]
    assert [(lease.user, lease.expired) for lease in seen.leases] == [("ann", False)]
    assert own_progress(world.database, world.project, world.user("ann")).submitted == 2
    assert lease_of(held).round == 1


def test_the_panel_names_who_marks_otherwise_than_all_others(world):
    ids = world.items(32, overlap=3)
    for name in ("ann", "bob", "cy"):
        for _ in ids:
            held = world.claim(name)
            number = ids.index(held.item_id)
            wrong = number % 2 != (name == "cy")
            world.submit(name, held, RIGHT if wrong else {"no_errors": ["r1"]})
    panel = agreement_panel(world.database, world.project, resamples=20)
    assert panel["items"] == 32
    (warning,) = panel["warnings"]
    assert warning.startswith("cy: Wrong-Grounding ")


def test_without_overlap_there_is_nobody_to_warn_of(world):
    world.items(1)
    assert agreement_panel(world.database, world.project, resamples=20)["warnings"] == ()


class Steps:
    """A round without models: it remembers what it was asked to do."""

    def __init__(self):
        self.trained = []

    def train(self, feedback, run_dir):
        self.trained.append((len(feedback.read_text().splitlines()), run_dir.name))

    def answer(self, output):
        return [
            FeedbackRecord(id=f"q{n}", prompt=f"Question {n}?", responses=(Response(text=f"Answer {n}."),))
            for n in range(10)
        ]

    def score(self, run_dir, records):
        return {record.id: number / 10 for number, record in enumerate(records)}


def _round_config(**changes):
    values = {"reward_model": "r.yaml", "generate": "g.yaml", "prompts": "p.jsonl", "size": 4, "random_share": 0.25}
    return RoundConfig.from_values(values | changes, place="round")


def test_a_round_is_closed_and_the_next_one_filled(world, tmp_path):
    steps = Steps()
    with pytest.raises(DataError, match="Nobody"):
        next_round(world.database, world.project, steps, by=world.boss, folder=tmp_path, config=_round_config())
    world.items(1)
    world.submit("ann", world.claim())
    world.project, report = next_round(
        world.database, world.project, steps, by=world.boss, folder=tmp_path, config=_round_config()
    )
    assert steps.trained == [(1, "reward")]
    assert (report.round, report.exported, report.answered, report.queued, report.random) == (2, 1, 10, 4, 1)
    assert json.loads((tmp_path / "round-1" / "report.json").read_text())["queued"] == 4
    names = {row.ext_id for row in list_items(world.database, world.project).rows if row.round == 2}
    assert {f"round-2/q{n}" for n in (7, 8, 9)} < names
    held = world.claim()
    assert held.round == 2
    world.submit("ann", held)


def test_answers_are_joined_with_the_passages_of_their_prompts(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"id": "x", "response": "one"}, {"id": "x", "response": "two"}])
    (record,) = joined([PromptRecord(id="x", prompt="?", references=("r",))], tmp_path / "a.jsonl")
    assert [response.text for response in record.responses] == ["one", "two"]
    assert record.references == ("r",)
    with pytest.raises(DataError, match="not among"):
        joined([PromptRecord(id="y", prompt="?")], tmp_path / "a.jsonl")
