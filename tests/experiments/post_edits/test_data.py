"""Post-edited translations as a task: splits, tags, the study end to end on a tiny encoder, and its page."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from doubles.reward_world import tiny_bert

from experiments.post_edits.data import (
    LANGUAGES,
    as_preferences,
    language_of,
    load_post_edits,
    select_pairs,
    tagged_words,
)
from experiments.post_edits.figures import OCCLUSION, SURFACE, TOKEN, PostEditStudyConfig, run_study
from experiments.post_edits.page import post_edits_page
from experiments.post_edits.words import occlusion_badness, sequence_scores
from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.reward_models.config import RewardModelConfig, TokenRewardConfig
from spanwise.text.spans import Span

ROOT = Path(__file__).parents[3]
DATA = ROOT / ".." / "shared" / "data" / "mlqe_pe"
RIGHT, WRONG = ("red", "blue", "green"), ("monday", "friday", "cow", "dog")


def rows(count, seed):
    """Sentences with one wrong word at a place by chance, which the post-edit mends; the wrong word is tagged."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        colours = [RIGHT[generator.integers(3)] for _ in range(3)]
        words = ["the", "house", "was", "then", "called", *colours, f"n{seed}x{number}"]
        place = 5 + int(generator.integers(3))
        wrong = [*words]
        wrong[place] = WRONG[generator.integers(4)]
        tags = ["OK"] + [tag for at in range(len(words)) for tag in ("BAD" if at == place else "OK", "OK")]
        found.append((" ".join(wrong), " ".join(words), f"allikas {number}", " ".join(tags), f"0.{number % 5}"))
    return found


def write_set(folder, language, split, sentences):
    name = f"{language}-{split}"
    with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
        for column, key in enumerate(("mt", "pe", "src", "tags", "hter")):
            text = "".join(row[column] + "\n" for row in sentences).encode()
            info = tarfile.TarInfo(f"{name}/{split}.{key}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))


@pytest.fixture(scope="module", name="sets")
def folder_of_six_small_sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlqe")
    for number, language in enumerate(LANGUAGES):
        write_set(folder, language, "train", rows(24, number))
        write_set(folder, language, "dev", rows(8, 10 + number))
    return folder


def test_parts_are_apart_and_hold_no_source(sets):
    parts = select_pairs(sets, train=12, tune=4, dev=6)
    for pairs, count in ((parts.train, 12), (parts.tune, 4), (parts.dev, 6)):
        assert [language_of(pair) for pair in pairs] == [name for name in LANGUAGES for _ in range(count)]
    originals = [{pair.original for pair in pairs} for pairs in (parts.train, parts.tune, parts.dev)]
    assert not originals[0] & originals[1]
    assert not originals[2] & (originals[0] | originals[1])
    assert {pair.prompt for pair in parts.train} == {""}
    assert parts.train[0].provenance["source"].startswith("allikas")
    assert select_pairs(sets, train=12, tune=4, dev=6) == parts
    with pytest.raises(ConfigError, match="were asked for"):
        select_pairs(sets, train=100, tune=4)


def test_tags_name_the_bad_words(sets):
    pairs = load_post_edits(sets, "dev")
    words = tagged_words(pairs)
    assert np.bincount(words.group, weights=words.bad).tolist() == [1.0] * 24
    said = [word for pair in pairs for word in pair.original.split()]
    assert {word for word, bad in zip(said, words.bad, strict=True) if bad} <= set(WRONG)
    bare = pairs[0].model_copy(update={"provenance": {"set": "et-en-dev"}})
    with pytest.raises(DataError, match="the test needs tags"):
        tagged_words([bare])


def test_an_absent_set_is_named(tmp_path):
    with pytest.raises(DataError, match=r"et-en-train.tar.gz: there is no such file"):
        load_post_edits(tmp_path, "train")


def test_preferences_are_of_the_pairs_that_differ(sets):
    pairs = load_post_edits(sets, "dev")[:2]
    same = pairs[0].model_copy(update={"edited": pairs[0].original})
    (record,) = as_preferences([same, pairs[1]])
    assert [response.text for response in record.responses] == [pairs[1].original, pairs[1].edited]
    assert [preference.winner for preference in record.preferences] == ["second"]


class Lengths:
    """Scores a whole response by a sum over its words, so that what each word is worth is known."""

    name = category = "lengths"
    density = "sequence"
    version = "1"

    def score(self, samples):
        return [
            SegmentScores((SegmentScore(Span(0, len(one.response)), float(sum(map(len, one.response.split())))),))
            for one in samples
        ]


class Silent(Lengths):
    def score(self, samples):
        return [SegmentScores(missing=Unscored("no network")) for _ in samples]


def test_occlusion_asks_what_a_text_is_without_each_word():
    samples = [Sample("", "a bcd ef"), Sample("", "ghij")]
    assert occlusion_badness(Lengths(), samples).tolist() == [-1.0, -3.0, -2.0, -4.0]
    with pytest.raises(DataError, match="could not be scored: no network"):
        sequence_scores(Silent(), samples)


FITTING = {"epochs": 10, "batch_size": 8, "learning_rate": 3e-3, "head_learning_rate": 3e-3}


def study(sets, out, **token):
    return run_study(
        PostEditStudyConfig(train=18, tune=4, occluded=3, resamples=20),
        sets,
        out,
        token=TokenRewardConfig(
            **{"fitting": FITTING, "device": "cpu", "merge_gap": 0, "use_passages": False, **token}
        ),
        sequence=RewardModelConfig(
            heads=("preference",), position_offset=False, fitting=FITTING, device="cpu", use_passages=False
        ),
        backbone=tiny_bert(),
        say=lambda _text: None,
    )


def test_the_study_finds_the_words_that_were_changed_and_goes_on_where_it_stopped(sets, tmp_path):
    result = study(sets, tmp_path)
    found = result["words"]["all"]
    assert list(found["auroc"])[:2] == [TOKEN, SURFACE]
    assert found["auroc"][TOKEN]["mean"] > 0.9
    assert found["matthews"][TOKEN]["mean"] > 0.5
    assert result["edit_pairs"][TOKEN]["all"] > 0.9
    assert result["edit_pairs"]["pairs"]["all"] == 24
    assert set(result["occluded"]["all"]["auroc_gain"]) == {OCCLUSION}
    assert set(result["translations"]["longer"]) == set(LANGUAGES)
    page = post_edits_page(result, command="python x.py --data y")
    assert f"| {TOKEN} | {found['auroc'][TOKEN]['mean']:.3f} [" in page
    assert "    python x.py --data y\n" in page
    again = study(sets, tmp_path)
    for figure in ("words", "occluded", "edit_pairs", "translations"):
        assert again[figure] == result[figure]
    with pytest.raises(ConfigError, match="trained by another config"):
        study(sets, tmp_path, merge_gap=2)


def test_the_recipe_reads_what_it_prepares():
    token = TokenRewardConfig.load(ROOT / "recipes" / "mlqe_pe" / "reward.yaml")
    sequence = RewardModelConfig.load(ROOT / "recipes" / "mlqe_pe" / "sequence.yaml")
    assert token.edits[0].parent == token.heldout[0].parent == sequence.data[0].parent == sequence.heldout[0].parent
    assert (token.layers, token.fitting) == (sequence.layers, sequence.fitting)
    assert (token.tags, token.spans) == ((), ())


@pytest.mark.skipif(not DATA.exists(), reason="the mlqe-pe files are not beside the checkout")
def test_the_real_sets_have_their_known_sizes():
    dev = load_post_edits(DATA, "dev")
    assert len(dev) == 3000
    words = tagged_words(dev)
    assert len(words.bad) == sum(len(pair.original.split()) for pair in dev)
    assert 0.3 < words.bad.mean() < 0.4
