"""Runs: curves that grow while a run trains, samples as heat maps, the view in the address."""

import json

import pytest
from gestures import eventually, press, until

pytestmark = pytest.mark.browser


def _write_run(folder, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"step": step, "reward/total": step / 10, "kl/token": None if step == 2 else 0.1} for step in range(steps)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 99, "rew')
    sample = {
        "step": 1,
        "prompt": "Why?",
        "response": "Because \U0001f600 it is.",
        "tokens": ["Because", " \U0001f600", " it", " is", ".", "</s>"],
        "token_scores": [0.0, -0.5, 0.0, 0.0, 1.0, 0.25],
        "shares": {"relevance": [0.0, -0.5, 0.0, 0.0, 0.0, 0.0], "factuality": [0.0, 0.0, 0.0, 0.0, 1.0, 0.25]},
        "kl": [0.1, None, 0.0, 0.0, 0.0, 0.0],
        "total": 0.75,
        "dropped": False,
    }
    (folder / "samples.jsonl").write_text("".join(json.dumps(sample | {"step": step}) + "\n" for step in (1, 2)))


def test_curves_grow_while_the_run_trains(serve, visit, tmp_path) -> None:
    run = tmp_path / "runs" / "arm" / "seed-0"
    _write_run(run, 5)
    server = serve(runs=tmp_path / "runs")
    page = visit(server, "/runs")
    assert "arm/seed-0" in page.inner_text("main")
    assert "running" in page.inner_text("main")
    page.click("tbody a")
    page.wait_for_selector('[data-chart="reward/total"] canvas')
    assert "5 points" in page.inner_text('[data-chart="reward/total"]')
    _write_run(run, 9)
    press(page, "r")
    eventually(lambda: "9 points" in page.inner_text('[data-chart="reward/total"]'))
    press(page, "l", "]", "f")
    page.keyboard.type("kl")
    until(page, "document.querySelectorAll('.chart').length === 1")


def test_heat_map_by_keys_and_by_address(serve, visit, tmp_path) -> None:
    _write_run(tmp_path / "runs" / "arm", 5)
    server = serve(runs=tmp_path / "runs")
    page = visit(server, "/runs")
    page.click("tbody td:last-child a")
    page.wait_for_selector(".tok")
    assert page.evaluate("document.getElementById('heat-text').textContent") == "Because \U0001f600 it is.</s>"
    press(page, "2*ArrowRight")
    assert "characters 7\N{EN DASH}9" in page.inner_text("aside")
    assert page.inner_text("aside tr[aria-current] td:last-child") == "\N{MINUS SIGN}0.500"
    press(page, "c", "v", "j")
    until(page, "location.search.includes('sample=1')")
    page.wait_for_selector(".tok[data-value]")
    address = page.url
    page.goto(server.url + "/runs")
    page.goto(address)
    page.wait_for_selector(".tok")
    assert "channel=relevance" in address
    assert page.inner_text('[aria-label="Channel"] [aria-pressed="true"]') == "relevance"
    press(page, "n", "s", "o", "k", "y")
    page.wait_for_selector("text=Link copied")
    colour = page.evaluate("getComputedStyle(document.querySelectorAll('.tok')[1]).backgroundColor")
    assert colour.startswith("rgba(200, 84, 10")
