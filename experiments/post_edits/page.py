"""`docs/results/post_edits.md` as a function of the study's figures: every number comes from there, none by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.lib.pages import interval_words, page, table, told_apart
from experiments.post_edits.data import LANGUAGES
from experiments.post_edits.figures import OCCLUSION, SURFACE, TOKEN

TARGET = 0.85
"""The accuracy on edit pairs that Xu et al. report."""


def post_edits_page(result: Mapping[str, Any], *, command: str) -> str:
    """The page in Markdown."""
    parts = [
        "# Token rewards from human post-edits",
        _origin(result, command),
        "## Which words are bad",
        _words_intro(result),
        _word_table(result["words"]["all"]),
        _language_table(result["words"]),
        "Beside a model of whole responses that learnt the same pairs as preferences, asked by leaving out one "
        f"word at a time, on {_count(result['occluded'])} of the sentences:",
        _word_table(result["occluded"]["all"]),
        "## Which text is better",
        _pairs_intro(result),
        _whole_table(result["edit_pairs"], ("all", *LANGUAGES)),
        "Transfer: of two translations of one language, how often the one that needed less editing (lower HTER) is "
        "preferred. Nobody trained for it, and a model that reads no source cannot know all of it.",
        _whole_table(result["translations"], LANGUAGES),
        "## What holds",
        "\n".join(f"- {sentence}" for sentence in verdicts(result)),
    ]
    return page(parts)


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """What the figures say of the targets, in sentences."""
    found = [
        _verdict(figure, arm, part["all"][key][arm])
        for figure, key in (("AUROC", "auroc_gain"), ("Matthews correlation", "matthews_gain"))
        for part in (result["words"], result["occluded"])
        for arm in part["all"][key]
    ]
    accuracy = result["edit_pairs"][TOKEN]["all"]
    reached = "reached" if accuracy >= TARGET else "missed"
    return [*found, f"Accuracy on edit pairs is {100 * accuracy:.1f} %: the target of 85 % is {reached}."]


def _verdict(figure: str, arm: str, gain: Mapping[str, Any]) -> str:
    return f"{figure}: token rewards are {told_apart(gain, _name(arm))}, {interval_words(gain, sign='+')}."


def _origin(result: Mapping[str, Any], command: str) -> str:
    pairs, token = result["pairs"], result["token"]
    fitting = token["fitting"]
    return (
        f"    {command}\n\n"
        f"{pairs['train']:,} post-edited machine translations (mlqe-pe: Estonian, Nepalese and Romanian to English, as "
        f"many of each) teach one reward per token: the first {token['layers']} layers of the encoder, "
        f"{fitting['epochs']} epoch, loss `{token['loss']['name']}`, as in `recipes/mlqe_pe/reward.yaml`. The model "
        "reads the English translation alone, neither the source nor any tag. "
        f"{pairs['tune']:,} further pairs of the train files choose epoch and thresholds; all figures are of "
        f"{pairs['dev']:,} dev sentences, which nothing was chosen by. {result['cpu_minutes']} CPU minutes for "
        "what was not at hand already."
    )


def _words_intro(result: Mapping[str, Any]) -> str:
    resamples = result["settings"]["resamples"]
    return (
        "Each word has the lowest reward of its tokens; the tag BAD of the dev files says which words a "
        "person changed. AUROC is of minus the reward against BAD. The Matthews correlation (MCC) is that of "
        "the threshold which is best on the tuning pairs. *Surface features* are a logistic regression on 16 "
        "counted features (frequency, novelty, how often the word was changed, length, place, neighbours, the "
        "same of the whole sentence), learnt from the same pairs; below it the best features by themselves. "
        f"Gains are those of the token rewards over the arm, with 95 % intervals from {resamples:,} bootstrap "
        "resamples of sentences."
    )


def _pairs_intro(result: Mapping[str, Any]) -> str:
    counts = result["edit_pairs"]["pairs"]
    return (
        f"How often the post-edit gets the higher score, on {counts['all']:,.0f} dev pairs that differ; the token "
        "model's score of a text is the mean of its rewards (equation 1 of Xu et al.)."
    )


def _word_table(figures: Mapping[str, Any]) -> str:
    rows = [
        [
            _name(arm),
            interval_words(found),
            _gain(figures["auroc_gain"], arm),
            interval_words(figures["matthews"][arm]),
            _gain(figures["matthews_gain"], arm),
        ]
        for arm, found in figures["auroc"].items()
    ]
    return table(["scores", "AUROC", "gain of token rewards", "MCC", "gain of token rewards"], rows)


def _language_table(parts: Mapping[str, Any]) -> str:
    rows = [
        [
            language,
            interval_words(parts[language]["auroc"][TOKEN]),
            interval_words(parts[language]["auroc"][SURFACE]),
            _gain(parts[language]["auroc_gain"], SURFACE),
        ]
        for language in LANGUAGES
    ]
    return table(["AUROC within", TOKEN, SURFACE, "gain"], rows)


def _whole_table(figures: Mapping[str, Any], columns: Sequence[str]) -> str:
    rows = [
        [arm, *(f"{100 * found[column]:.1f} %" for column in columns)]
        for arm, found in figures.items()
        if arm != "pairs"
    ]
    return table(["scores", *columns], rows)


def _count(parts: Mapping[str, Any]) -> int:
    return int(parts["all"]["auroc"][OCCLUSION]["n"])


def _name(arm: str) -> str:
    return arm if arm in (TOKEN, OCCLUSION, SURFACE) else f"{arm.replace('_', ' ')} alone"


def _gain(gains: Mapping[str, Any], arm: str) -> str:
    return interval_words(gains[arm], sign="+") if arm in gains else ""
