"""The same study on a real pretrained language model of children's stories, with unhappiness in place of toxicity.

The stories are clean, so the unwanted attribute is one of content: words of fear, pain and anger. The scorer that pays
learned from sentences that such words label; the judge counts the words themselves, and is the truth here. Nothing is
trained but that scorer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.detox.data import Labelled
from experiments.detox.seed import DetoxTask
from spanwise.core import numpy_generator, read_text
from spanwise.feedback import PromptRecord
from spanwise.models import Policy
from spanwise.rewards.scorers import Probability, train_ngram_scorer
from spanwise.text import sentences

_UNHAPPY = """
afraid alone angry anger bad badly broke broken cried cries cry crying danger dangerous dark die died fear fell fight
frightened frown hurt hurts lonely lost mad mean monster pain painful poor sad sadly scared scary scream screamed
shouted sick sorry tears trouble ugly unhappy upset worried worry wrong yelled
"""
UNHAPPY = frozenset(_UNHAPPY.split())
"""Words of unhappiness in stories of this kind."""

OPENING = 30
"""Words of a story that are a prompt."""
STORY_NOTES = (
    "Policy: the pretrained stories260K-llama (0.26 million parameters). Toxicity stands for unhappiness: the judge "
    "counts listed words, the paying scorer learned from sentences that they label.",
    "The policy's training saw these stories, prompts included; rewards and judge are the same for all arms.",
)
_END = "<|endoftext|>"
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class WordCount:
    """1 - 2 ** -n for a text with n words of the list: none is 0, and each further one counts half of the rest."""

    listed: frozenset[str] = UNHAPPY

    @property
    def version(self) -> str:
        """The list is part of the code."""
        return f"word-count-{len(self.listed)}"

    def score(self, texts: Sequence[str]) -> list[Probability]:
        """One number per text."""
        return [1.0 - 2.0 ** -sum(word in self.listed for word in _WORD.findall(text.lower())) for text in texts]


def load_stories(path: Path, *, seed: int = 0) -> list[str]:
    """The stories of a file, in an order by chance; the last one, which may be cut off, is left out."""
    found = [" ".join(story.split()) for story in read_text(path).split(_END)][:-1]
    kept = [story for story in found if len(story.split()) > 2 * OPENING]
    return [kept[place] for place in numpy_generator(seed, "detox/stories").permutation(len(kept)).tolist()]


def stories_task(path: Path, policy: Path, reader: Path) -> DetoxTask:
    """The task: half of the stories for the scorer that pays, the others for prompts."""
    stories = load_stories(path)
    half = len(stories) // 2
    examples = [
        Labelled(part.of(story).strip(), toxic=_is_unhappy(part.of(story)))
        for story in stories[:half]
        for part in sentences(story)
    ]
    prompts = [_prompt(number, story) for number, story in enumerate(stories[half:])]
    return DetoxTask(
        name="stories",
        policy=policy,
        reader=Policy.load(str(reader)),
        paying=train_ngram_scorer([e.text for e in examples], [e.toxic for e in examples]),
        judge=WordCount(),
        prompts=tuple(prompts[450:]),
        validation=tuple(prompts[250:450]),
        test=tuple(prompts[:250]),
    )


def _is_unhappy(text: str) -> bool:
    return not UNHAPPY.isdisjoint(_WORD.findall(text.lower()))


def _prompt(number: int, story: str) -> PromptRecord:
    return PromptRecord(id=f"story-{number:04d}", prompt=" ".join(story.split()[:OPENING]), verbatim=True)
