"""Which heads come of which marks."""

import pytest
from doubles.marked_answers import marked_answers

from spanwise.feedback import FeedbackRecord, MissingInfo, Preference, Response, mark
from spanwise.feedback.schema import Evidence, Passage
from spanwise.setup.heads import choose_heads
from spanwise.setup.material import demonstrations_of, divided, prompts_of


def records(*marked, answer="One two three four five. Six seven eight nine ten."):
    """A record for each list of (quote, category) or (quote, category, further fields of the mark)."""
    return [
        FeedbackRecord(
            id=str(number),
            prompt=f"q{number}",
            responses=(Response(text=answer, marked=True, spans=tuple(_mark(answer, *one) for one in marks)),),
        )
        for number, marks in enumerate(marked)
    ]


def _mark(answer, quote, category, **more):
    start = answer.index(quote)
    return mark(answer, start, start + len(quote), category, **more)


WHOLE, PART = "One two three four five.", "two"


def test_each_category_with_enough_marks_has_a_head_and_the_rest_share_one():
    heads = choose_heads(
        records(*[[(WHOLE, "Tone & style")]] * 6, *[[(WHOLE, "Rare")]] * 3, *[[(WHOLE, "Rarer")]] * 2, [])
    )
    assert heads.names == ("tone_style", "other")
    assert heads.settings["custom"]["other"]["categories"] == ["Rare", "Rarer"]
    assert heads.said == ["Rare, Rarer: too few marks for a head of their own (5 together), so one head learns them."]


def test_marks_that_are_too_few_have_no_head_and_are_said():
    heads = choose_heads(records(*[[(WHOLE, "Tone")]] * 6, [(WHOLE, "Rare")], []))
    assert heads.names == ("tone",)
    assert "Rare" in heads.said[0]


def test_few_marks_in_all_make_one_head():
    assert choose_heads(records([(WHOLE, "A")], [(WHOLE, "B")], [])).names == ("errors",)


def test_the_unit_is_what_people_marked():
    of_sentences = choose_heads(records(*[[(WHOLE, "Tone")]] * 6, [])).settings["custom"]["tone"]
    of_words = choose_heads(records(*[[(PART, "Tone")]] * 6, [])).settings["custom"]["tone"]
    assert (of_sentences["density"], of_words["density"]) == ("sentence", "sub-sentence")


def test_categories_of_the_papers_go_to_their_heads():
    marked = [[(WHOLE, "Irrelevant")]] * 5 + [[(PART, "Wrong-Grounding")]] * 5 + [[]] * 3
    assert choose_heads(records(*marked)).settings == {"heads": ["relevance", "factuality"]}


def test_a_name_that_has_a_meaning_is_not_taken():
    marked = [[(WHOLE, "Factuality")]] * 5 + [[(WHOLE, "total")]] * 5 + [[(WHOLE, "TOTAL")]] * 5 + [[]]
    assert choose_heads(records(*marked)).names == ("factuality_marks", "total_marks", "total_marks_2")


def test_praise_and_severities_go_along():
    marks = [[(WHOLE, "Tone", {"severity": "Minor"})]] * 3 + [[(WHOLE, "Tone", {"severity": "odd"})]] * 3
    praise = [[(WHOLE, "Good", {"polarity": "positive"})]] * 2
    made = records(*[[(q, c)] for ((q, c, _),) in marks + praise])
    spans = [
        _mark(r.responses[0].text, quote, category, **more)
        for r, ((quote, category, more),) in zip(made, marks + praise, strict=True)
    ]
    made = [
        r.model_copy(update={"responses": (Response(text=r.responses[0].text, marked=True, spans=(span,)),)})
        for r, span in zip(made, spans, strict=True)
    ]
    rule = choose_heads(made).settings["custom"]["tone"]
    assert rule["praise_categories"] == ["Good"]
    assert rule["severity_weights"] == {"Minor": 0.25, "odd": 1.0}


def test_a_head_whose_labels_are_all_alike_is_left_out():
    whole = "One two three four five."
    heads = choose_heads(records(*[[(whole, "Tone")]] * 6, answer=whole))
    assert heads.names == ()
    assert "all alike" in heads.said[0]


def test_preferences_and_missing_information_have_heads_where_there_are_enough():
    decided = [
        FeedbackRecord(
            id=str(n),
            prompt=f"q{n}",
            passages=(Passage(title="T", sentences=("A.", "B.")),),
            responses=(
                Response(
                    text="A.",
                    marked=True,
                    missing=(MissingInfo(category="Missing-Answer", evidence=Evidence(passage=0, sentences=(1,))),),
                ),
                Response(text="A. B.", marked=True),
            ),
            preferences=(Preference(first=0, second=1, winner="second"),),
        )
        for n in range(10)
    ]
    assert choose_heads(decided).names == ("preference", "completeness")
    assert choose_heads(decided[:9]).names == ("completeness",)


def test_the_best_answer_known_is_imitated():
    good, bad = (
        Response(text="right", marked=True),
        Response(text="wrong", marked=True, spans=(mark("wrong", 0, 5, "A"),)),
    )
    corrected = bad.model_copy(update={"correction": "mended"})
    made = [
        FeedbackRecord(id="1", prompt="a", responses=(corrected, good), references=("gold",)),
        FeedbackRecord(id="2", prompt="b", responses=(bad, good), references=("gold",)),
        FeedbackRecord(id="3", prompt="c", responses=(bad, good)),
        FeedbackRecord(
            id="4",
            prompt="d",
            responses=(bad, Response(text="better")),
            preferences=(Preference(first=0, second=1, winner="second"),),
        ),
        FeedbackRecord(id="5", prompt="e", responses=(bad,)),
        FeedbackRecord(id="6", prompt="a", responses=(good,)),
    ]
    known = demonstrations_of(made)
    assert [r.completion for r in known.records] == ["mended", "gold", "right", "better"]
    assert known.origins == {
        "corrections": 1, "reference answers": 1, "answers without a mark": 1, "preferred answers": 1,
    }  # fmt: skip
    assert [r.completion for r in demonstrations_of(made, any_answer=True).records][-1] == "wrong"


def test_prompts_come_once_each_and_the_split_is_by_question(tmp_path):
    twice = [*marked_answers(12), *(r.model_copy(update={"id": f"{r.id}-b"}) for r in marked_answers(12))]
    material = divided(twice, share=0.25, seed=3, place=tmp_path)
    assert len(material.heldout) == 6
    assert not {r.prompt for r in material.heldout} & {r.prompt for r in material.training}
    assert [r.prompt for r in prompts_of(twice)] == [r.prompt for r in marked_answers(12)]
    assert divided(twice[::-1], share=0.25, seed=3, place=tmp_path).heldout == material.heldout[::-1]


def test_the_usual_score_of_a_head_is_told_from_its_labels():
    """Of 18 sentences 6 are wrong; the mean of -1 for a wrong one and 1 for a right one is a third."""
    heads = choose_heads(records(*[[(WHOLE, "Tone")]] * 6, *[[]] * 3))
    assert heads.usual == pytest.approx({"tone": 1 / 3})
