import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from doubles.experiment import SOURCES, write_experiment, write_lines, write_run

from spanwise.core.errors import DataError
from spanwise.evals.report.report import render_report, write_report
from spanwise.evals.statistics.compare import arm_estimates
from spanwise.evals.statistics.results import Arm, ExperimentResults
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.evals.win_rate.judged_comparison import WIN_RATE

VOID = {"meta", "input", "br", "path", "rect", "line", "use", "link"}


class Page(HTMLParser):
    """Collects what a browser would see, and fails on tags that do not close."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def all(self, tag, **attributes):
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("experiment")
    results = write_experiment(root, steps=10)
    return results, render_report([root])


@pytest.fixture(scope="module")
def page(report):
    return Page(report[1])


def test_the_page_fetches_nothing(report, page):
    _, text = report
    assert not re.findall(r'(?:src|href|action|data)="(?!#)[^"]*"', text)
    assert "@import" not in text
    assert "url(" not in text.replace("url(#", "")
    assert [tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "object", "base", "form")] == []
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith("default-src 'none'")
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    assert f"script-src 'sha256-{digest}'" in policy  # else the page's own script would not run


def test_the_headline_is_the_verdict_in_words(report, page):
    results, _ = report
    assert "Fine-grained RLHF against Preference RLHF, 60 prompts, 3 seeds" in page.text
    assert "Irrelevant sub-sentences fell from" in page.text
    assert results.title in page.text


def test_every_arm_metric_and_head_is_in_a_table_with_headers(report, page):
    results, _ = report
    for arm in results.arms.values():
        assert arm.title in page.text
    for head in results.reward_models.values():
        assert head.label in page.text
    assert "not above a trivial rule" in page.text
    assert {cell.get("scope") for cell in page.all("th")} == {"col", "row"}
    assert "not run" in page.text


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_every_plot_has_a_description(page):
    plots = [found for found in page.all("svg") if found.get("aria-hidden") != "true"]
    assert len(plots) > 15
    assert all(found["role"] == "img" and len(found["aria-label"]) > 20 for found in plots)


def test_tokens_carry_their_scores_and_signs(page):
    tokens = [found for found in page.all("span") if "t" in found.get("class", "").split() and "data-i" in found]
    assert {found.get("data-sign") for found in tokens} == {None, "+", "\u2212"}
    assert any("relevance +0.3" in found["title"] for found in tokens)
    answers = page.all("article")
    tints = [json.loads(found["data-tints"]) for found in answers]
    assert all({"total", *SOURCES} <= set(found) for found in tints)
    assert all(-1 <= strength <= 1 for found in tints for own in found.values() for strength, _, _ in own)
    assert {found["value"] for found in page.all("input", type="radio")} == {"total", *SOURCES, "KL"}


def test_the_text_of_answers_is_whole(report, page):
    results, _ = report
    flat = "".join(page.words)
    assert results.examples[0].answers["sft"].response.replace("Bergen,", "Bergenwrong,", 1) in flat


def test_the_same_folders_give_the_same_page(tmp_path):
    write_run(tmp_path / "run", steps=3)
    assert render_report([tmp_path / "run"]) == render_report([tmp_path / "run"])


def test_a_single_run_without_results_is_reported(tmp_path):
    write_run(tmp_path / "rl", steps=20)
    write_report([tmp_path / "rl"], tmp_path / "out" / "report.html")
    found = Page((tmp_path / "out" / "report.html").read_text("utf-8"))
    assert "rl: eval/reward/total was" in found.text
    assert "nothing here is a comparison" in found.text
    assert "Reward: relevance" in found.text
    assert "Step 0" in found.text
    assert "Step 20" in found.text


def test_several_runs_share_their_plots_and_differ_in_their_settings(tmp_path):
    write_run(tmp_path / "a" / "rl", steps=3, drift=1.0)
    write_run(tmp_path / "b" / "rl", steps=3, drift=2.0)
    found = Page(render_report([tmp_path / "a" / "rl", tmp_path / "b" / "rl"]))
    assert "2 runs" in found.text
    assert "a/rl" in found.text
    assert "kl.coef" in found.text
    with pytest.raises(DataError, match="given already"):
        render_report([tmp_path / "a" / "rl", tmp_path / "a" / "rl"])


HOSTILE = '<script>alert(1)</script>"\u202eevil\u202c \ufeff\x07 &amp; {{ 7 * 7 }} \U0001f600'


def test_hostile_text_is_shown_and_never_run(tmp_path):
    run = tmp_path / "<b>run"
    write_run(run, steps=2, sources=("<i>source",))
    tokens = [HOSTILE, "\ud800", "</s>"]
    row = {"step": 2, "prompt": HOSTILE, "response": f"{HOSTILE}\ud800", "tokens": tokens}
    row |= {"token_scores": [0.5, None, 0.0], "shares": {HOSTILE: [0.5, None, 0.0]}}
    write_lines(run / "samples.jsonl", [row])
    (run / "config.yaml").write_text("name: '<script>alert(2)</script>'\n", "utf-8")
    text = render_report([run])
    text.encode("utf-8")
    found = Page(text)
    assert len(found.all("script")) == 1
    assert found.all("b") == [{}]  # the template's own
    assert "<script>alert(1)</script>" in found.text
    assert "\u27e8U+202E\u27e9evil\u27e8U+202C\u27e9" in found.text
    assert "\u27e8U+D800\u27e9" in found.text
    assert "{{ 7 * 7 }}" in found.text
    assert not re.search("[\u202a-\u202e\ufeff\x07]", text)
    answer = found.all("article")[0]
    assert json.loads(answer["data-tints"])["total"] == [[1.0, "+", 0.0], [None, "?", 0.0], [0.0, "", 0.0]]


def test_runs_with_holes_say_what_is_missing(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward/total": null}\n{"step"', "utf-8")
    found = Page(render_report([tmp_path]))
    assert "No training curves were found." in found.text
    assert "No sample answers were found." in found.text
    assert "No config was found." in found.text
    assert "not readable and left out" in found.text


def test_no_folder_is_an_error_and_nothing_is_written_on_the_way(tmp_path):
    with pytest.raises(DataError, match="at least one"):
        render_report([])
    with pytest.raises(DataError, match="no such folder"):
        write_report([tmp_path / "gone"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_an_alarm_that_rang_is_told_with_its_first_step(tmp_path):
    rows = [{"step": step, "alarm/length_drift": float(step >= 7), "alarm/repetition": 0.0} for step in range(10)]
    (tmp_path / "drifting").mkdir()
    write_lines(tmp_path / "drifting" / "metrics.jsonl", rows)
    text = Page(render_report([tmp_path / "drifting"])).text
    assert "drifting: the alarm length drift rang at step 7." in text
    assert "alarm repetition" not in text


def test_judged_answers_have_no_training_to_show(tmp_path):
    table = ScoreTable.from_values({"a": 1.0, "b": 0.0})
    ExperimentResults(
        title="Judged",
        created="2026-01-01",
        metrics={"win_rate": WIN_RATE},
        arms={"one": Arm(label="one", metrics=arm_estimates({"win_rate": table}, arm="one"))},
    ).save(tmp_path)
    page = render_report([tmp_path])
    for absent in ("Training", "Settings", "No training curves", "No config", "0 seeds"):
        assert absent not in page
    assert 'href="#s0-curves"' not in page
    assert 'href="#s0-arms"' in page
