"""The runner: what is done is skipped, pages name the command, and what the user can mend is one sentence, code 2."""

import pytest

from experiments import run
from experiments.lib.study import Study
from spanwise.core import Config


class CountConfig(Config):
    """One number."""

    size: int = 3


class Count(Study):
    """Notes in a file what it was asked."""

    seeds = (0, 1)

    @classmethod
    def defaults(cls):
        return CountConfig()

    def finished(self, seed):
        return (self.place.output / f"{seed}.txt").exists()

    def run_seed(self, seed, say):
        say("counting")
        (self.place.output / f"{seed}.txt").write_text(str(self.settings.size))

    def summarise(self, seeds, say, *, command):
        return [(self.place.output / f"{seed}.txt").read_text() for seed in seeds]

    def pages(self, result, say, *, command):
        self.place.docs.write_text(f"{command}: {' '.join(result)}")


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr(run.Entry, "load", lambda _self: Count)


def test_seeds_that_are_done_are_skipped_and_the_page_names_the_command(tmp_path, capsys):
    page = tmp_path / "page.md"
    words = ["sim_arms", "--output", str(tmp_path / "out"), "--docs", str(page)]
    assert run.main([*words, "--seeds", "0", "size=5"]) == 0
    assert page.read_text() == f"python -m experiments.run sim_arms --seeds 0 --docs {page} size=5: 5"
    capsys.readouterr()
    assert run.main([*words, "--seeds", "0", "1"]) == 0
    assert capsys.readouterr().out.count("counting") == 1
    assert page.read_text().endswith(": 5 3")


def test_seeds_that_run_at_a_time_leave_what_they_leave_one_by_one(tmp_path, capfd):
    words = ["sim_arms", "--docs", str(tmp_path / "page.md"), "size=4"]
    assert run.main([*words, "--output", str(tmp_path / "apart"), "--jobs", "2"]) == 0
    assert capfd.readouterr().out.count("counting") == 2
    assert run.main([*words, "--output", str(tmp_path / "single")]) == 0
    apart, single = ([(tmp_path / how / f"{seed}.txt").read_text() for seed in (0, 1)] for how in ("apart", "single"))
    assert apart == single == ["4", "4"]


def test_no_seeds_at_a_time_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(["sim_arms", "--output", str(tmp_path), "--jobs", "0"])
    assert stop.value.code == 2
    assert "give 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing"], "There is no study 'nothing'"),
        (["corrections", "--data", "nowhere"], "nowhere is absent"),
        (["sim_arms", "--only-report"], "no seed is finished"),
        (["sim_arms", "sise=4"], "did you mean size?"),
        (["sim_arms", "--tiny"], "has no tiny size"),
    ],
)
def test_what_can_be_mended_is_one_sentence(tmp_path, capsys, words, sentence):
    assert run.main([*words, "--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_the_list_names_every_study_with_its_page(capsys):
    assert run.main(["--list"]) == 0
    listing = capsys.readouterr().out
    assert all(name in listing and entry.page in listing for name, entry in run.STUDIES.items())
