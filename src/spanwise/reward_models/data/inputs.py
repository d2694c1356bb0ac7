"""What a reward model reads, in training and in serving: token ids, and which tokens each segment has.

`InputEncoder` is the only place that joins prompt, passages and response and tokenises them for a reward model, so
that both uses read the same (wu2023 W1): plain text as a whole, or what a chat template writes and behind it the
answer, as policies do. Turns before the answer, tool turns among them, are prompt and have no segments. These are the
reward model's own tokens; rewards are placed on the policy's tokens elsewhere, by characters. Knows nothing of labels
or of torch modules.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedTokenizerBase

from spanwise.core import CheckpointError, ConfigError
from spanwise.feedback import Density, Passage, PromptConfig, Sample, Unscored, text_prompt
from spanwise.models.encoding import PromptEncoder, TextEncoder
from spanwise.reward_models.data.phrases import PhraseCutter
from spanwise.reward_models.features import features_by_density
from spanwise.text import Span, get_segmenter, last_token

WU2023 = PromptConfig(form="wu2023")
_WORD = re.compile(r"\w{4,}|\d+")
"""Longer words and numbers: short words are in every sentence."""


def without_least_related(
    passages: Sequence[Passage], topic: str, *, excess: int, count: Callable[[str], int]
) -> tuple[Passage, ...]:
    """`passages` without the sentences that share least words with `topic`, at least `excess` (> 0) in length together.

    Of equally related sentences the later goes first; a passage that loses its last sentence goes as a whole.
    """
    words = set(_WORD.findall(topic.lower()))
    places = [(number, index) for number, passage in enumerate(passages) for index in range(len(passage.sentences))]
    places.sort(
        key=lambda position: (
            _relatedness(passages[position[0]].sentences[position[1]], words),
            -position[0],
            -position[1],
        )
    )
    dropped: set[tuple[int, int]] = set()
    for number, index in places:
        if excess <= 0:
            break
        dropped.add((number, index))
        excess -= count(passages[number].sentences[index])
    kept = (
        Passage(
            title=passage.title,
            sentences=tuple(text for index, text in enumerate(passage.sentences) if (number, index) not in dropped),
        )
        for number, passage in enumerate(passages)
    )
    return tuple(passage for passage in kept if passage.sentences)


def _relatedness(sentence: str, words: set[str]) -> float:
    sentence_words = set(_WORD.findall(sentence.lower()))
    return len(sentence_words & words) / max(1, len(sentence_words)) ** 0.5


@dataclass(frozen=True, slots=True)
class EncodedResponse:
    """One response as a reward model reads it.

    `pieces[density]` holds, for each of `segments[density]`, the first and last token of it in `ids`. The one piece of
    density "sequence" runs to the closing token of the text, so that even an empty response has one. Of
    density "token" it has an empty span at the end of the response, and no piece where the response was cut off.
    `features[density]` holds a row of counted features for each segment, where the model takes any.
    """

    ids: tuple[int, ...]
    segments: dict[Density, tuple[Span, ...]]
    pieces: dict[Density, tuple[tuple[int, int], ...]]
    sentences_cut: int = 0
    features: dict[Density, Float[np.ndarray, "n f"]] = field(
        default_factory=dict[Density, Float[np.ndarray, "n f"]], compare=False
    )

    @property
    def length(self) -> int:
        """Tokens of the response with its prompt."""
        return len(self.ids)


class InputEncoder:
    """Encodes samples for one reward model.

    Features see all passages, whether or not the backbone reads them.
    Raises CheckpointError for a tokenizer that cannot say which characters a token covers.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        use_passages: bool,
        densities: Sequence[Density],
        features: bool = False,
        form: PromptConfig = WU2023,
        phrases: PhraseCutter | None = None,
    ) -> None:
        if "phrase" in densities and phrases is None:
            raise ConfigError("Phrases are cut by a language model; name it under phrases.")
        if not tokenizer.is_fast:
            raise CheckpointError(
                "The reward model's tokenizer has no character offsets; use a model with a fast tokenizer."
            )
        self.tokenizer = tokenizer
        self.form = form
        self._text = TextEncoder(tokenizer)
        self._prompts = PromptEncoder(tokenizer, form)
        self.max_length = max_length
        self.use_passages = use_passages
        self.densities = tuple(dict.fromkeys(densities))
        self.features = features
        self._phrases = phrases

    def encode(self, samples: Sequence[Sample]) -> list[EncodedResponse | Unscored]:
        """Encodes each sample, cutting passages where the window is too short; never the response.

        Unscored where prompt and response alone are longer than the window.
        """
        inputs = [self._input(sample, sample.passages if self.use_passages else ()) for sample in samples]
        by_sample = self._phrases.cut(samples) if self._phrases else [()] * len(samples)
        encoded: list[EncodedResponse | Unscored] = []
        for item, tokens, phrases in zip(inputs, self._tokenize(inputs), by_sample, strict=True):
            if isinstance(phrases, Unscored):
                encoded.append(phrases)
                continue
            item.phrases = phrases
            fits = len(tokens.ids) <= self.max_length
            encoded.append(self._located(item, tokens) if fits else self._encode_cut(item, len(tokens.ids)))
        return encoded

    def _encode_cut(self, item: "_Input", length: int) -> EncodedResponse | Unscored:
        topic = f"{item.sample.prompt} {item.sample.response}"
        passages = item.passages
        while passages:
            passages = without_least_related(
                passages, topic, excess=length - self.max_length, count=lambda text: self._length(text) + 1
            )
            shorter = self._input(item.sample, passages)
            shorter.phrases = item.phrases
            tokens = self._tokenize([shorter])[0]
            length = len(tokens.ids)
            if length <= self.max_length:
                return self._located(shorter, tokens, sentences_cut=_sentences(item.passages) - _sentences(passages))
        return Unscored(
            f"prompt and response need {length} tokens, the window of the reward model holds {self.max_length}"
        )

    def _located(self, item: "_Input", tokens: "_Tokens", *, sentences_cut: int = 0) -> EncodedResponse:
        response = item.sample.response
        segments: dict[Density, tuple[Span, ...]] = {}
        pieces: dict[Density, tuple[tuple[int, int], ...]] = {}
        for density in self.densities:
            if density == "sequence":
                segments[density] = (Span(0, len(response)),)
                pieces[density] = ((tokens.first_after(item.start), len(tokens.ids) - 1),)
            elif density == "token":
                segments[density], pieces[density] = tokens.one_by_one(item)
            else:
                segments[density] = self._cut(density, item) if response.strip() else ()
                pieces[density] = tuple(tokens.piece(item.place(span), item.text) for span in segments[density])
        features = _features(item.sample, segments) if self.features else {}
        return EncodedResponse(tokens.ids, segments, pieces, sentences_cut, features)

    def _cut(self, density: Density, item: "_Input") -> tuple[Span, ...]:
        return item.phrases if density == "phrase" else get_segmenter(density)(item.sample.response)

    def _input(self, sample: Sample, passages: Sequence[Passage]) -> "_Input":
        """A template's prompt is no part of the text: it is tokenized by itself, and the answer behind it."""
        written = self.form.takes_turns
        return _Input(sample, passages, "" if written else text_prompt(self.form, sample, passages) + " ")

    def _tokenize(self, inputs: Sequence["_Input"]) -> list["_Tokens"]:
        if not inputs:
            return []
        if self.form.takes_turns:
            return self._behind_prompts(inputs)
        texts = [item.text for item in inputs]
        rows = zip(inputs, self._text.located(texts), strict=True)
        return [_Tokens(self._closed(ids), offsets, item.start) for item, (ids, offsets) in rows]

    def _behind_prompts(self, inputs: Sequence["_Input"]) -> list["_Tokens"]:
        """As a policy would have it: the prompt's ids, the answer's and the end of the turn."""
        prompts: dict[tuple[object, ...], list[int]] = {}
        end = self._prompts.turn.end
        closing = [one for one in (end, self.tokenizer.eos_token_id) if isinstance(one, int)][:1]
        rows: list[_Tokens] = []
        for item in inputs:
            sample = item.sample
            key = (sample.prompt, sample.messages, sample.tools, item.passages)
            if key not in prompts:
                prompts[key] = self._prompts.ids(sample, item.passages)
            prompt = prompts[key]
            ids, offsets = self._prompts.answer(item.text)
            unread = [(0, 0)] * len(prompt)
            rows.append(_Tokens((*prompt, *ids, *closing), [*unread, *offsets], item.start))
        return rows

    def _closed(self, ids: list[int]) -> tuple[int, ...]:
        """The ids with a closing token: where the tokenizer adds none, its end-of-text token."""
        end = self.tokenizer.eos_token_id
        closed = bool(ids) and ids[-1] in self.tokenizer.all_special_ids
        return tuple(ids) if closed or not isinstance(end, int) else (*ids, end)

    def _length(self, text: str) -> int:
        return len(self._text.ids(text, add_special_tokens=False))


class _Input:
    """The text that a reward model reads for one sample, and where the response starts in it.

    Policies write the blank before an answer themselves, annotated files have none: exactly one is kept.
    """

    def __init__(self, sample: Sample, passages: Sequence[Passage], prefix: str) -> None:
        self.sample = sample
        self.passages = tuple(passages)
        self.text = prefix + sample.response.strip()
        self.start = len(prefix)
        self.phrases: tuple[Span, ...] = ()
        """Of the response, where the encoder cuts phrases."""
        self._shift = len(prefix) - (len(sample.response) - len(sample.response.lstrip()))

    def place(self, span: Span) -> Span:
        """Where a span of the response lies in the text, blanks that were stripped left out."""
        start = max(self.start, span.start + self._shift)
        return Span(start, max(start, min(len(self.text), span.end + self._shift)))

    def back(self, span: Span) -> Span:
        """Which characters of the response the part of `span` (of the text) that lies in it wrote."""
        return Span(max(self.start, span.start) - self._shift, span.end - self._shift)


class _Tokens:
    """Token ids of an input, and the characters of each token that reaches into the response."""

    def __init__(self, ids: tuple[int, ...], offsets: Sequence[tuple[int, int]], start: int) -> None:
        self.ids = ids
        written = [(index, left, right) for index, (left, right) in enumerate(offsets) if right > max(left, start)]
        self._places = [index for index, _, _ in written]
        self._spans = [Span(left, right) for _, left, right in written]

    def first_after(self, character: int) -> int:
        """The first token that reaches beyond `character`, or the closing one."""
        token = bisect_right(self._spans, character, key=_end)
        return self._places[token] if token < len(self._places) else len(self.ids) - 1

    def piece(self, span: Span, text: str) -> tuple[int, int]:
        """First and last token of the non-blank part of `span`."""
        start = span.start
        while start < span.end and text[start].isspace():
            start += 1
        last = self._places[last_token(span, self._spans, text=text)]
        return min(self.first_after(start), last), last

    def one_by_one(self, item: _Input) -> tuple[tuple[Span, ...], tuple[tuple[int, int], ...]]:
        """Each token of the response with its characters, then the closing one, which no truncated response has."""
        spans, places = [item.back(span) for span in self._spans], list(self._places)
        closing = len(self.ids) - 1
        if closing not in places[-1:] and not item.sample.truncated:
            end = len(item.sample.response)
            spans, places = [*spans, Span(end, end)], [*places, closing]
        return tuple(spans), tuple((token, token) for token in places)


def _features(sample: Sample, segments: Mapping[Density, Sequence[Span]]) -> dict[Density, Float[np.ndarray, "n f"]]:
    """Counted on the response without the blanks around it, which annotated texts do not have."""
    text = sample.response.strip()
    lead = len(sample.response) - len(sample.response.lstrip())

    def moved(span: Span) -> Span:
        return Span(min(max(0, span.start - lead), len(text)), min(max(0, span.end - lead), len(text)))

    shifted: dict[Density, Sequence[Span]] = {
        density: [moved(span) for span in spans] for density, spans in segments.items()
    }
    return features_by_density(Sample.of(sample, text), shifted)


def _end(span: Span) -> int:
    return span.end


def _sentences(passages: Sequence[Passage]) -> int:
    return sum(len(passage.sentences) for passage in passages)
