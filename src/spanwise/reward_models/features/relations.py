"""Plain numbers that say how a segment stands to the question, the passages and what was already said.

A small encoder learns such relations badly from a few hundred marked answers; a linear part beside its heads learns
them well. All follow from prompt, passages and response alone, so they can be had wherever a response is scored.
Words and counts only: knows nothing of labels, models or torch.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from spanwise.feedback import Density, Passage, Sample
from spanwise.reward_models.features.words import content, longest_run, ngrams, rarity, share, words
from spanwise.text import Span, sub_sentences

SURFACE_FEATURES = (
    "index", "place", "segments", "words", "response_words", "is_first", "starts_sentence", "digits",
    "question_said", "from_question", "source_support", "passage_support", "said_before", "said_before_at_once",
)  # fmt: skip
"""The 14 features of the trivial baseline: position, length, overlap with question, passages and what was said."""

SEGMENT_FEATURES = (
    *SURFACE_FEATURES,
    "is_last", "words_before", "ends_with_comma", "ends_sentence", "starts_with_pronoun", "starts_with_connective",
    "capitals", "year", "own_repeats", "asks_when_says_number", "asks_how_many_says_number", "asks_who_says_name",
    "question_said_rare", "question_new", "question_said_so_far", "question_words", "trigrams_said_before",
    "title_said", "title_asked", "support_second", "support_mean", "bigrams_found", "trigrams_found",
    "fourgrams_found", "copied_share", "copied_words", "bigrams_missing", "trigrams_missing",
    "source_place", "source_passage", "source_opens_passage", "source_asked", "source_asked_rare", "source_rank",
    "source_told", "source_reused", "words_not_in_source", "numbers_not_in_source", "names_not_in_source",
    "words_not_in_passages", "share_not_in_passages", "numbers_not_in_passages", "names_not_in_passages",
    "passages", "passage_sentences",
)  # fmt: skip
"""Features of one segment. Its source is the passage sentence that holds most of its content words."""

COVERAGE_FEATURES = (
    "sentences_told", "sentences_told_wholly", "asked_told", "asked_told_wholly", "most_asked_3_told",
    "most_asked_6_told", "openings_told", "first_passage_told", "passages_told", "question_covered", "word_variety",
)  # fmt: skip

RESPONSE_FEATURES = (
    *(f"mean_{name}" for name in SEGMENT_FEATURES),
    *(f"sum_{name}" for name in SEGMENT_FEATURES),
    *COVERAGE_FEATURES,
)
"""Features of a whole response: means and sums over its sub-sentences, and what of the passages it tells."""

_WHOLE = 0.8
_NUMBER = re.compile(r"\d")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_PRONOUNS = frozenset(("he", "she", "it", "they", "his", "her", "its", "their", "this"))
_CONNECTIVES = frozenset(("and", "but", "or", "which", "who", "with", "while", "as", "by", "in", "on"))


def features_by_density(
    sample: Sample, segments: Mapping[Density, Sequence[Span]]
) -> dict[Density, Float[np.ndarray, "n f"]]:
    """Of each density one row per segment: SEGMENT_FEATURES, or RESPONSE_FEATURES for the one of "sequence"."""
    return {
        density: response_features(sample)[None] if density == "sequence" else segment_features(sample, spans)
        for density, spans in segments.items()
    }


def segment_features(sample: Sample, segments: Sequence[Span]) -> Float[np.ndarray, "n f"]:
    """One row of SEGMENT_FEATURES per segment of the response."""
    sources = _sources(sample.prompt, sample.passages)
    return _matrix(_rows(sources, sample.response, segments), SEGMENT_FEATURES)


def response_features(sample: Sample) -> Float[np.ndarray, " f"]:
    """The RESPONSE_FEATURES of the response."""
    sources = _sources(sample.prompt, sample.passages)
    segments = sub_sentences(sample.response) if sample.response.strip() else ()
    rows = _matrix(_rows(sources, sample.response, segments), SEGMENT_FEATURES)
    coverage = _coverage(sources, [_Piece(sources, segment.of(sample.response)) for segment in segments])
    coverage["question_covered"] = share(sources.question, set(content(sample.response)))
    spoken = words(sample.response)
    coverage["word_variety"] = len(set(spoken)) / max(1, len(spoken))
    means = rows.sum(0) / max(1, len(rows))
    return np.concatenate([means, rows.sum(0), _matrix([coverage], COVERAGE_FEATURES)[0]])


class _Sources:
    """The question and the passage sentences, taken apart once for all segments and responses."""

    def __init__(self, prompt: str, passages: Sequence[Passage]) -> None:
        self.passages = passages
        self.places = [(number, index) for number, p in enumerate(passages) for index in range(len(p.sentences))]
        texts = [passages[number].sentences[index] for number, index in self.places]
        self.spoken = [words(text) for text in texts]
        self.contents = [set(content(text)) for text in texts]
        self.titles = [set(content(passage.title)) for passage in passages]
        self.all_content = set[str]().union(*self.contents)
        self.all_words = {word for sentence in self.spoken for word in sentence}
        self.grams = {size: {gram for s in self.spoken for gram in ngrams(s, size)} for size in (2, 3, 4)}
        self.prompt = prompt.lower()
        self.question = sorted(set(content(prompt)))
        self.rarity = rarity(self.contents)
        self.asked = [share(self.question, sentence) for sentence in self.contents]
        self.asked_rare = [self.rarity.share(self.question, sentence) for sentence in self.contents]


@lru_cache(maxsize=16)
def _sources(prompt: str, passages: tuple[Passage, ...]) -> _Sources:
    return _Sources(prompt, passages)


class _Piece:
    """One segment, taken apart, with its source: the number of a passage sentence, None without passages."""

    def __init__(self, sources: _Sources, text: str) -> None:
        self.text = text.strip()
        self.spoken = words(self.text)
        self.content = content(self.text)
        self.stems = set(self.content)
        self.support = [share(self.content, sentence) for sentence in sources.contents]
        self.source = int(np.argmax(self.support)) if self.support else None
        self.numbers = [word for word in self.spoken if _NUMBER.search(word)]
        self.names = [word for part in self.text.split()[1:] if part[:1].isupper() for word in words(part)]


class _Said:
    """What the response said before the segment at hand."""

    def __init__(self) -> None:
        self.stems = set[str]()
        self.pieces: list[_Piece] = []
        self.trigrams = set[tuple[str, ...]]()
        self._tail: list[str] = []

    def add(self, piece: _Piece) -> None:
        self.stems |= piece.stems
        self.trigrams |= set(ngrams([*self._tail, *piece.spoken], 3))
        self._tail = [*self._tail, *piece.spoken][-2:]
        self.pieces.append(piece)


def _rows(sources: _Sources, response: str, segments: Sequence[Span]) -> list[dict[str, float]]:
    earlier = _Said()
    length = len(words(response))
    rows: list[dict[str, float]] = []
    for number, segment in enumerate(segments):
        piece = _Piece(sources, segment.of(response))
        row: dict[str, float] = {"index": number, "segments": len(segments), "response_words": length}
        row |= {"is_first": number == 0, "is_last": number == len(segments) - 1}
        row |= (
            _position(response, segment)
            | _form(piece)
            | _question(piece, sources, earlier)
            | _repetition(piece, earlier)
        )
        row |= _support(piece, sources) | _source(piece, sources, earlier) | _unsupported(piece, sources)
        rows.append(row)
        earlier.add(piece)
    return rows


def _position(response: str, segment: Span) -> dict[str, float]:
    before = response[: segment.start].rstrip()
    return {
        "place": (segment.start + segment.end) / 2 / max(1, len(response)),
        "words_before": len(before.split()),
        "starts_sentence": not before or before[-1] in ".?!\"'",
    }


def _form(piece: _Piece) -> dict[str, float]:
    first = piece.spoken[0] if piece.spoken else ""
    return {
        "words": len(piece.spoken),
        "digits": len(piece.numbers),
        "ends_with_comma": piece.text.endswith(","),
        "ends_sentence": piece.text.endswith((".", "?", "!")),
        "starts_with_pronoun": first in _PRONOUNS,
        "starts_with_connective": first in _CONNECTIVES,
        "capitals": sum(part[:1].isupper() for part in piece.text.split()) / max(1, len(piece.spoken)),
        "year": bool(_YEAR.search(piece.text)),
        "own_repeats": 1 - len(piece.stems) / max(1, len(piece.content)),
    }


def _question(piece: _Piece, sources: _Sources, earlier: _Said) -> dict[str, float]:
    number = bool(piece.numbers)
    unsaid = [word for word in sources.question if word not in earlier.stems]
    return {
        "question_said": share(sources.question, piece.stems),
        "from_question": share(piece.content, sources.question),
        "question_said_rare": sources.rarity.share(sources.question, piece.stems),
        "question_new": share(unsaid, piece.stems),
        "question_said_so_far": share(sources.question, earlier.stems | piece.stems),
        "question_words": len(sources.question),
        "asks_when_says_number": "when" in sources.prompt and number,
        "asks_how_many_says_number": "how many" in sources.prompt and number,
        "asks_who_says_name": len(piece.names) / max(1, len(piece.spoken)) if "who" in sources.prompt else 0.0,
    }


def _repetition(piece: _Piece, said: _Said) -> dict[str, float]:
    return {
        "said_before": share(piece.content, said.stems),
        "said_before_at_once": max((share(piece.content, earlier.stems) for earlier in said.pieces), default=0.0),
        "trigrams_said_before": share(ngrams(piece.spoken, 3), said.trigrams),
    }


def _support(piece: _Piece, sources: _Sources) -> dict[str, float]:
    best = sorted(piece.support, reverse=True)
    # A run of words can only be long where much of the content is shared, so other sentences are not searched.
    near = [s for s, support in zip(sources.spoken, piece.support, strict=True) if support >= 0.3 * best[0]]
    copied = max((longest_run(piece.spoken, sentence) for sentence in near), default=0)
    grams = {size: ngrams(piece.spoken, size) for size in (2, 3, 4)}
    return {
        "source_support": best[0] if best else 0.0,
        "support_second": best[1] if len(best) > 1 else 0.0,
        "support_mean": sum(best) / max(1, len(best)),
        "passage_support": share(piece.content, sources.all_content),
        "bigrams_found": share(grams[2], sources.grams[2]),
        "trigrams_found": share(grams[3], sources.grams[3]),
        "fourgrams_found": share(grams[4], sources.grams[4]),
        "bigrams_missing": sum(gram not in sources.grams[2] for gram in grams[2]),
        "trigrams_missing": sum(gram not in sources.grams[3] for gram in grams[3]),
        "copied_share": copied / max(1, len(piece.spoken)),
        "copied_words": copied,
    }


def _source(piece: _Piece, sources: _Sources, before: _Said) -> dict[str, float]:
    titles = sources.titles
    row: dict[str, float] = {
        "title_said": max((share(title, piece.stems) for title in titles), default=0.0),
        "title_asked": max((share(title, sources.question) for title in titles), default=0.0),
        "passages": len(sources.passages),
        "passage_sentences": len(sources.places),
    }
    if piece.source is None:
        return row
    passage, index = sources.places[piece.source]
    asked = sources.asked_rare[piece.source]
    return row | {
        "source_place": index / len(sources.passages[passage].sentences),
        "source_passage": passage,
        "source_opens_passage": index == 0,
        "source_asked": sources.asked[piece.source],
        "source_asked_rare": asked,
        "source_rank": sum(other > asked for other in sources.asked_rare) / len(sources.places),
        "source_told": share(sources.contents[piece.source], piece.stems),
        "source_reused": any(earlier.source == piece.source for earlier in before.pieces),
    }


def _unsupported(piece: _Piece, sources: _Sources) -> dict[str, float]:
    spoken: Sequence[str] = sources.spoken[piece.source] if piece.source is not None else ()
    stems = sources.contents[piece.source] if piece.source is not None else set[str]()
    unknown = sum(word not in sources.all_words for word in piece.spoken)
    return {
        "words_not_in_source": sum(word not in stems for word in piece.content),
        "numbers_not_in_source": sum(word not in spoken for word in piece.numbers),
        "names_not_in_source": sum(word not in spoken for word in piece.names),
        "words_not_in_passages": unknown,
        "share_not_in_passages": unknown / max(1, len(piece.spoken)),
        "numbers_not_in_passages": sum(word not in sources.all_words for word in piece.numbers),
        "names_not_in_passages": sum(word not in sources.all_words for word in piece.names),
    }


def _coverage(sources: _Sources, pieces: Sequence[_Piece]) -> dict[str, float]:
    """What the response tells of each passage sentence: the best support of a segment that has it as its source."""
    told = np.zeros(len(sources.places))
    for piece in pieces:
        if piece.source is not None:
            told[piece.source] = max(told[piece.source], piece.support[piece.source])
    whole = told >= _WHOLE
    asked = np.array(sources.asked_rare)
    most_asked = np.argsort(-asked, kind="stable")
    numbers, indices = np.array(sources.places).reshape(-1, 2).T
    return {
        "sentences_told": float(told.sum()),
        "sentences_told_wholly": float(whole.sum()),
        "asked_told": float(asked @ told),
        "asked_told_wholly": float(asked @ whole),
        "most_asked_3_told": float(told[most_asked[:3]].sum()),
        "most_asked_6_told": float(told[most_asked[:6]].sum()),
        "openings_told": float(told[indices == 0].sum()),
        "first_passage_told": float(told[numbers == 0].sum()),
        "passages_told": len(set(numbers[whole].tolist())),
    }


def _matrix(rows: Sequence[dict[str, float]], names: Sequence[str]) -> Float[np.ndarray, "n f"]:
    values = [[float(row.get(name, 0.0)) for name in names] for row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), len(names))
