"""Samples of a run as heat maps: each token with its place in the answer and its value on every channel.

Channels are all lists of a sample that have one number per token - token scores, the share of each reward source, KL,
and whatever else a run logs. Knows nothing of files or pages.
"""

from typing import Any, cast

from spanwise.feedback import Record
from spanwise.text import place_tokens

TOTAL = "total"
"""The channel of the token scores, which is the sum of the sources' shares."""


class HeatSample(Record):
    """One sample, ready to be drawn."""

    index: int
    count: int
    step: int
    prompt: str
    response: str
    tokens: tuple[str, ...]
    places: tuple[tuple[int, int] | None, ...]
    """Code points of the response; None for a token that wrote nothing."""
    channels: dict[str, tuple[float | None, ...]]
    total: float | None
    dropped: bool
    spans: tuple[dict[str, Any], ...]
    """Marked spans, where the run logged some."""


class SampleRow(Record):
    """One sample in the list."""

    index: int
    step: int
    prompt: str
    response: str
    total: float | None


def heat_sample(samples: list[dict[str, Any]], index: int) -> HeatSample:
    """The sample at `index`."""
    sample = samples[index]
    response = str(sample.get("response", ""))
    tokens = [str(token) for token in sample.get("tokens", [])]
    return HeatSample(
        index=index,
        count=len(samples),
        step=sample["step"],
        prompt=str(sample.get("prompt", "")),
        response=response,
        tokens=tuple(tokens),
        places=tuple(
            (token_span.start, token_span.end) if token_span else None for token_span in place_tokens(response, tokens)
        ),
        channels=_channels(sample, len(tokens)),
        total=_number(sample.get("total")),
        dropped=bool(sample.get("dropped")),
        spans=tuple(span for span in map(_span, sample.get("spans") or ()) if span is not None),
    )


def rows(samples: list[dict[str, Any]], *, step: int | None, offset: int, limit: int) -> tuple[int, list[SampleRow]]:
    """How many samples there are, of a step where that is given, and some of them."""
    chosen = [index for index, sample in enumerate(samples) if step is None or sample["step"] == step]
    return len(chosen), [_sample_row(samples[index], index) for index in chosen[offset : offset + limit]]


def largest(samples: list[dict[str, Any]]) -> dict[str, float]:
    """The largest absolute value of each channel over a run: what full colour stands for on the run's scale."""
    by_channel: dict[str, float] = {}
    for sample in samples:
        for name, values in _channels(sample, len(sample.get("tokens", []))).items():
            by_channel[name] = max([by_channel.get(name, 0.0), *(abs(value) for value in values if value is not None)])
    return by_channel


def _sample_row(sample: dict[str, Any], index: int) -> SampleRow:
    prompt, response = str(sample.get("prompt", ""))[:200], str(sample.get("response", ""))[:300]
    return SampleRow(
        index=index, step=sample["step"], prompt=prompt, response=response, total=_number(sample.get("total"))
    )


def _channels(sample: dict[str, Any], length: int) -> dict[str, tuple[float | None, ...]]:
    channels: dict[str, tuple[float | None, ...]] = {}
    if _fits(sample.get("token_scores"), length):
        channels[TOTAL] = _numbers(sample["token_scores"])
    shares = sample.get("shares")
    if isinstance(shares, dict):
        known = cast("dict[str, Any]", shares)
        channels |= {name: _numbers(values) for name, values in known.items() if _fits(values, length)}
    taken = {"tokens", "token_scores"}
    channels |= {
        name: _numbers(values)
        for name, values in sample.items()
        if name not in taken and name not in channels and _fits(values, length)
    }
    return channels


def _fits(values: Any, length: int) -> bool:
    if not isinstance(values, list) or length == 0:
        return False
    listed = cast("list[Any]", values)
    return len(listed) == length and all(value is None or isinstance(value, (int, float)) for value in listed)


def _numbers(values: list[Any]) -> tuple[float | None, ...]:
    return tuple(_number(value) for value in values)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _span(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    span = cast("dict[str, Any]", value)
    if not isinstance(span.get("start"), int) or not isinstance(span.get("end"), int):
        return None
    return {"start": span["start"], "end": span["end"], "category": str(span.get("category", ""))}
