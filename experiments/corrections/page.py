"""`docs/results/corrections.md` as a function of the study's figures: every number comes from there, none by hand."""

from collections.abc import Mapping
from typing import Any

from experiments.corrections.transfer import KINDS, MINIMAL
from experiments.lib.pages import interval_words, page, table, told_apart

TITLES = {"spans": "Tested on marked spans", "corrections": "Tested on the corrections' changed words"}


def corrections_page(result: Mapping[str, Any], *, command: str) -> str:
    """The page in Markdown."""
    agreement = result["agreement"]
    count, few = (agreement[part]["positional"]["pairs"] for part in ("all", "minimal"))
    parts = [
        "# Corrections and marked spans: QA-Feedback",
        f"    {command}\n\n"
        f"{count} answers of QA-Feedback were both marked and corrected by people (6 more were left as they were). The "
        "people were told to mend what they had marked: what follows is a check of consistency, not of two opinions. "
        f"{result['cpu_minutes']} CPU minutes for what was not at hand already.",
        "## Do changed words agree with marked ones?",
        "Words of the answers that the alignment calls changed, against words under a marked error span.",
        _agreement_table(agreement["all"]),
        f"On the {few} answers whose correction keeps at least {MINIMAL:.0%} of the words:",
        _agreement_table(agreement["minimal"]),
        "## What one kind of feedback teaches about the other",
        _intro(result),
        *(part for kind in reversed(KINDS) for part in _test(kind, result["tests"][kind])),
        "## What holds",
        "\n".join(f"- {sentence}" for sentence in transfer_verdicts(result)),
    ]
    return page(parts)


def transfer_verdicts(result: Mapping[str, Any]) -> list[str]:
    """Whether token rewards from the other kind of feedback beat each other arm."""
    verdicts: list[str] = []
    for kind in reversed(KINDS):
        test = result["tests"][kind]
        first = next(iter(test["auroc"]))
        for arm, gain in test["auroc_gain"].items():
            words = f"{told_apart(gain, arm)}, {interval_words(gain, sign='+')}"
            verdicts.append(f"{TITLES[kind]}, AUROC: {first} are {words}.")
    return verdicts


def _intro(result: Mapping[str, Any]) -> str:
    settings = result["settings"]
    token, study = settings["token"], settings["study"]
    return (
        f"{study['folds']} folds by question; in each, one token model learns from the corrections alone and "
        f"one from the marked spans alone (first {token['layers']} layers of the encoder, "
        f"{token['fitting']['epochs']} epochs, `experiments/corrections/token.yaml`). Each word of the other "
        "questions has the lowest reward of its tokens. Surface features are the 16 of `docs/results/post_edits.md`, "
        "learnt in the same folds. Thresholds of the Matthews correlation (MCC) are the best ones of the "
        "other folds. Gains are those of the first arm, which never saw the kind of label that it is tested "
        f"on; 95 % intervals from {study['resamples']:,} bootstrap resamples of answers."
    )


def _test(kind: str, test: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            arm,
            interval_words(found),
            interval_words(test["auroc_gain"][arm], sign="+") if arm in test["auroc_gain"] else "",
            interval_words(test["matthews"][arm]),
        ]
        for arm, found in test["auroc"].items()
    ]
    share = f"{test['words']:,} words, {100 * test['bad_share']:.1f} % of them bad."
    return [f"### {TITLES[kind]}", share, table(["scores", "AUROC", "gain of the first arm", "MCC"], rows)]


def _agreement_table(figures: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{one['precision']:.3f}", f"{one['recall']:.3f}", f"{one['f1']:.3f}"] for name, one in figures.items()
    ]
    return table(["alignment", "precision", "recall", "F1"], rows)
