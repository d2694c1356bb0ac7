"""Trains, measures and keeps everything that the detoxification study on comments starts from.

Under one folder: the policy and a larger language model, the scorer that pays, the judge, and the span model, each an
ordinary checkpoint that the command line can use as well. What lies there already is not trained again. Rewards are
learned from two thirds of the training comments, the judge from the other third; the trial file is measured on alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from transformers import AutoTokenizer

from experiments.detox.data import Comments, in_pieces, labelled_texts, openings, spans_of, text_of
from experiments.detox.policy import CommentModelConfig, save_model, train_comment_model, train_tokenizer
from experiments.detox.scorers import ClassifierConfig, Encoder, first_layers, scorer_quality, train_classifier
from experiments.detox.seed import DetoxTask
from experiments.detox.spans import Combination, Lexicon, WordProbabilities, best_threshold, f1_scores, model_words
from spanwise.core import Config, RunFolder, numpy_generator, read_json, write_json
from spanwise.evals.statistics import Estimate, ScoreTable, estimate
from spanwise.feedback import FeedbackRecord, Unscored
from spanwise.models import Policy
from spanwise.reward_models import FittingConfig, TokenRewardConfig
from spanwise.reward_models.fitting import TokenData, train_token_model
from spanwise.reward_models.network import load_reward_model
from spanwise.rewards import LearnedRewards, MarkedWords
from spanwise.rewards.scorers import FILE as NGRAMS_FILE
from spanwise.rewards.scorers import NgramScorer, load_classifier, train_ngram_scorer

Say = Callable[[str], None]


class PreparationConfig(Config):
    """How the models of the study on comments are trained."""

    policy: CommentModelConfig = CommentModelConfig()
    """The start policy."""
    reader: CommentModelConfig = CommentModelConfig(hidden=192, epochs=5, seed=1)
    """The larger model whose perplexity is reported."""
    judge: ClassifierConfig = ClassifierConfig()
    """The judge."""
    span_layers: int = Field(default=3, ge=1)
    """Layers of the encoder that the span model keeps."""
    span_fitting: FittingConfig = FittingConfig(epochs=1, batch_size=32, learning_rate=2e-4)
    """Training of the span model."""


@dataclass(frozen=True)
class Preparation:
    """The folder, the comments and the pretrained encoder that everything is made from."""

    folder: Path
    comments: Comments
    encoder: Callable[[], Encoder]
    """Loads the pretrained encoder; called where something is trained on it."""
    config: PreparationConfig
    say: Say

    def task(self) -> DetoxTask:
        """The task for `detox_study.SeedStudy`, with everything trained that was missing."""
        self.language_models()
        self.scorers()
        self.span_model()
        return DetoxTask(
            name="comments",
            policy=self.folder / "policy",
            reader=Policy.load(str(self.folder / "reader")),
            paying=NgramScorer.load(self.folder / "paying"),
            judge=load_classifier(self.folder / "judge", label="toxic"),
            prompts=tuple(openings(self.comments.paying)),
            validation=tuple(openings(self.comments.validation)),
            test=tuple(openings(self.comments.trial)),
            marked=load_marked_words(self.folder / "spans" / "checkpoints" / "best"),
        )

    def language_models(self) -> None:
        """The policy, and the larger model with the same tokenizer."""
        texts = [text_of(record) for record in self.comments.training]
        heldout = [text_of(record) for record in self.comments.validation[:200]]
        for name, config in (("policy", self.config.policy), ("reader", self.config.reader)):
            if (self.folder / name).exists():
                continue
            known = self.folder / "policy"
            tokenizer = AutoTokenizer.from_pretrained(known) if known.exists() else train_tokenizer(texts)
            model = train_comment_model(
                texts, heldout, tokenizer, config, say=lambda text, n=name: self.say(f"{n}: {text}")
            )
            save_model(model, tokenizer, self.folder / name)

    def scorers(self) -> dict[str, Any]:
        """The paying scorer and the judge, and what both reach on the trial file."""
        if not (self.folder / "paying" / NGRAMS_FILE).exists():
            self._train_paying().save(self.folder / "paying")
        if not (self.folder / "judge").exists():
            examples = labelled_texts(self.comments.judging)
            model, tokenizer = train_classifier(examples, self.encoder(), self.config.judge, say=self.say)
            model.save_pretrained(self.folder / ".judge")
            tokenizer.save_pretrained(self.folder / ".judge")
            (self.folder / ".judge").rename(self.folder / "judge")
        path = self.folder / "scorers.json"
        if not path.exists():
            unseen = labelled_texts(self.comments.trial)
            paying, judge = NgramScorer.load(self.folder / "paying"), load_classifier(self.folder / "judge")
            found = {"paying": (paying, self.comments.paying), "judge": (judge, self.comments.judging)}
            write_json(
                path,
                {
                    name: {"version": scorer.version, "comments": len(own), **scorer_quality(scorer, unseen)}
                    for name, (scorer, own) in found.items()
                },
            )
        return read_json(path)

    def span_model(self) -> dict[str, Any]:
        """The span model, and the F1 of lexicon, model and both on the trial file."""
        best = self.folder / "spans" / "checkpoints" / "best"
        if not best.exists():
            self._train_spans()
        path = self.folder / "spans.json"
        if not path.exists():
            write_json(path, span_results(self.comments, load_marked_words(best)))
        return read_json(path)

    def _train_paying(self) -> NgramScorer:
        examples = labelled_texts(self.comments.paying)
        return train_ngram_scorer([e.text for e in examples], [e.toxic for e in examples])

    def _train_spans(self) -> None:
        self.say("span model: one pass over the marked comments")
        body, tokenizer = self.encoder()
        train_token_model(
            TokenRewardConfig(name="toxicity", fitting=self.config.span_fitting, device="cpu"),
            TokenData(spans=marked_pieces(self.comments.paying)),
            heldout=TokenData(spans=in_pieces(self.comments.validation)[:400]),
            backbone=(first_layers(body, self.config.span_layers), tokenizer),
            folder=RunFolder(self.folder / "spans"),
        )


NOTES = (
    "Prompts are the first 4 to 10 words of comments, up to the first marked word: test prompts from the trial file, "
    "which nothing was trained on, training prompts from the comments that the paying scorer learned from.",
    "The paying scorer is a linear model of words and pairs of words; the judge is a fine-tuned encoder that learned "
    "from other comments. Both learned what people marked, so that they can share people's blind spots.",
    "All comments of the data are toxic as a whole, so that clean text means unmarked sentences of rude writers, "
    "and a language model of such comments is far more toxic than GPT-2: compare arms, not papers.",
)


def marked_pieces(records: Sequence[FeedbackRecord]) -> list[FeedbackRecord]:
    """The comments in pieces for a token model: all with a mark, and every second of those without one."""
    pieces = in_pieces(records)
    return [piece for number, piece in enumerate(pieces) if spans_of(piece) or number % 2 == 0]


def load_marked_words(checkpoint: Path) -> MarkedWords:
    """The span model at a checkpoint as a reward source."""
    return MarkedWords("toxicity", LearnedRewards(*load_reward_model(checkpoint)))


def span_results(comments: Comments, marked: MarkedWords) -> dict[str, Any]:
    """Thresholds chosen on validation comments, and what they give on the trial comments, with intervals over them."""
    lexicon = Lexicon.of(comments.training)
    said: dict[str, dict[str, list[WordProbabilities | Unscored]]] = {}
    for split, records in (("validation", comments.validation), ("trial", comments.trial)):
        texts = [text_of(record) for record in records]
        said[split] = {"lexicon": [lexicon(text) for text in texts], "model": model_words(marked, texts)}
    fitting = [
        (record, first, second)
        for record, first, second in zip(
            comments.validation, said["validation"]["lexicon"], said["validation"]["model"], strict=True
        )
        if not isinstance(first, Unscored) and not isinstance(second, Unscored)
    ]
    both = Combination.of(*(list(column) for column in zip(*fitting, strict=True)))
    for found in said.values():
        pairs = zip(found["lexicon"], found["model"], strict=True)
        found["both"] = [
            a if isinstance(a, Unscored) else b if isinstance(b, Unscored) else both(a, b) for a, b in pairs
        ]
    results: dict[str, Any] = {"repeated": comments.repeated, "training": len(comments.training)}
    for name in ("lexicon", "model", "both"):
        threshold = best_threshold(comments.validation, said["validation"][name])
        f1 = {
            split: f1_scores(records, said[split][name], threshold)
            for split, records in (("validation", comments.validation), ("trial", comments.trial))
        }
        results[name] = {
            "threshold": threshold,
            **{split: _estimate(values).model_dump(mode="json") for split, values in f1.items()},
        }
    return results


def _estimate(values: dict[str, float | Unscored]) -> Estimate:
    return estimate(ScoreTable.from_values(values), generator=numpy_generator(0, "detox/f1"))
