from spanwise.evals.report.answers import example_gallery, sample_gallery
from spanwise.evals.runs.folders import Run, SampleRow
from spanwise.evals.statistics.results import Example, ExampleAnswer, ExampleSpan


def row(step, prompt, response="a b", **more):
    values = {"tokens": ("a", " b", "</s>"), "token_scores": (0.0, 0.5, -0.25), "shares": {"facts": (0.0, 0.5, -0.25)}}
    return SampleRow(step=step, prompt=prompt, response=response, **(values | more))


def titles(gallery):
    return [(card.prompt, [answer.title for answer in card.answers]) for card in gallery.cards]


def test_the_first_and_last_step_of_the_same_prompts_stand_side_by_side():
    rows = tuple(row(step, prompt) for step in (0, 5, 10) for prompt in ("p", "q", "r"))
    gallery = sample_gallery(Run("run", samples=rows), "t", limit=2)
    assert titles(gallery) == [("p", ["Step 0", "Step 10"]), ("q", ["Step 0", "Step 10"])]
    assert gallery.left_out == 1
    assert gallery.sources == ["total", "facts"]
    assert gallery.scales == {"total": 0.5, "facts": 0.5}


def test_one_step_is_shown_once_and_no_sample_gives_no_gallery():
    assert titles(sample_gallery(Run("run", samples=(row(3, "p"),)), "t", limit=9)) == [("p", ["Step 3"])]
    assert sample_gallery(Run("run"), "t", limit=9) is None


def test_prompts_that_changed_between_the_steps_are_shown_after_training():
    gallery = sample_gallery(Run("run", samples=(row(0, "p"), row(9, "q"))), "t", limit=9)
    assert titles(gallery) == [("q", ["Step 9"])]


def test_a_response_that_training_left_out_has_no_scores():
    gallery = sample_gallery(Run("run", samples=(row(0, "p", dropped=True),)), "t", limit=9)
    answer = gallery.cards[0].answers[0]
    assert answer.total is None
    assert answer.scores == {"total": (None, None, None)}
    assert gallery.has_unscored
    assert answer.hint(1) == "total -"


def test_scores_that_do_not_fit_the_tokens_are_not_laid_over_them():
    answer = sample_gallery(Run("r", samples=(row(0, "p", kl=(0.1,)),)), "t", limit=9).cards[0].answers[0]
    assert "KL" not in answer.scores
    assert answer.hint(1) == "total +0.5, facts +0.5"
    assert answer.hint(0) == "no score"
    assert answer.total == 0.25


def test_examples_follow_the_order_of_the_legend():
    marked = ExampleAnswer(response="a b", spans=(ExampleSpan(start=2, end=3, category="wrong"),), missing=("c",))
    example = Example(prompt="p", answers={"new": marked, "base": ExampleAnswer(response="", truncated=True)})
    gallery = example_gallery([example], {"base": "Base", "new": "New"}, {"base": 0, "new": 1}, title="t", limit=5)
    assert titles(gallery) == [("p", ["Base", "New"])]
    assert [answer.index for answer in gallery.cards[0].answers] == [0, 1]
    assert gallery.has_marks
    assert gallery.sources == []
    assert example_gallery([], {}, {}, title="t", limit=5) is None
