"""What is wrong with a submitted body, and what is doubtful: checked against its item, again, on the server.

A page may be old, broken or hostile; what it sends is believed only where the stored texts say the same. Pure
functions: they know no database.
"""

import itertools
import re
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from spanwise.annotate.store import (
    Body,
    BodyMissing,
    BodyProblem,
    BodySpan,
    CategoryConfig,
    Item,
    Project,
    ProjectConfig,
    SubmissionError,
    changed_words,
    diff,
)
from spanwise.feedback import Evidence
from spanwise.text import Span, count_words

Problems = Iterator[BodyProblem]


def parse_body(value: object) -> Body:
    """The body that a page sent; raises SubmissionError that names each field of a wrong shape."""
    try:
        return Body.model_validate(value)
    except ValidationError as error:
        problems = (
            _problem(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()
        )
        raise SubmissionError(tuple(problems)) from error


def problems_of(body: Body, item: Item, project: Project) -> list[BodyProblem]:
    """Everything that keeps `body` from being an annotation of `item`, in the order of the body."""
    config = project.config
    checks = (
        _targets(body, item, config),
        _no_errors(body, item, config),
        *(_span(span, item, config, f"spans.{i}") for i, span in enumerate(body.spans)),
        _unique_ids(body),
        _overlaps(body, config),
        *(_missing(gap, item, config, f"missing.{i}") for i, gap in enumerate(body.missing)),
        _corrections(body, item, config),
        _preferences(body, item, config),
        _rankings(body, item, config),
        _answers(body, config),
    )
    return [problem for check in checks for problem in check]


def cautions_of(body: Body, item: Item, project: Project) -> list[BodyProblem]:
    """What is allowed but worth a word: spans too short to train on, spans across sentences, long edits, cycles."""
    config = project.config
    checks = (
        *(_doubtful_span(span, item, config, f"spans.{i}") for i, span in enumerate(body.spans)),
        _long_edits(body, item, config),
        *(_cycles(body, aspect) for aspect in config.aspects),
    )
    return [problem for check in checks for problem in check]


def annotated_keys(item: Item, config: ProjectConfig) -> tuple[str, ...]:
    """The responses that are to be marked and edited."""
    keys = tuple(response.key for response in item.responses)
    return keys[:1] if config.responses == "first" else keys


def expected_pairs(item: Item, config: ProjectConfig) -> set[frozenset[str]]:
    """The pairs of responses that are to be compared; none where all are ranked at once."""
    keys = [response.key for response in item.responses]
    if config.pairs == "adjacent":
        return {frozenset(pair) for pair in itertools.pairwise(keys)}
    every = {frozenset((a, b)) for i, a in enumerate(keys) for b in keys[i + 1 :]}
    return every if config.pairs == "all" else set()


def _problem(place: str, reason: str) -> BodyProblem:
    return BodyProblem(place=place, reason=reason)


def _targets(body: Body, item: Item, config: ProjectConfig) -> Problems:
    allowed = annotated_keys(item, config)
    named = [(f"no_errors.{i}", key) for i, key in enumerate(body.no_errors)]
    named += [(f"spans.{i}.target", span.target) for i, span in enumerate(body.spans)]
    named += [(f"missing.{i}.target", gap.target) for i, gap in enumerate(body.missing)]
    named += [(f"corrections.{i}.target", edit.target) for i, edit in enumerate(body.corrections)]
    yield from (
        _problem(field_place, f"{key} is not annotated in this project.")
        for field_place, key in named
        if key not in allowed
    )


def _no_errors(body: Body, item: Item, config: ProjectConfig) -> Problems:
    marked_keys = {thing.target for thing in (*body.spans, *body.missing)}
    if "spans" not in config.tasks:
        if marked_keys or body.no_errors:
            yield _problem("spans", "this project does not ask for marks.")
        return
    for key in annotated_keys(item, config):
        if key in marked_keys and key in body.no_errors:
            yield _problem("no_errors", f"{key} has marks, so it cannot be free of errors; remove one of both.")
        elif key not in marked_keys and key not in body.no_errors:
            yield _problem("no_errors", f"nothing is said about {key}; mark its errors or say that it has none.")


def _span(span: BodySpan, item: Item, config: ProjectConfig, place: str) -> Problems:
    response = item.response(span.target)
    if response is None:
        return
    length = len(response.text)
    if not span.start < span.end <= length:
        yield _problem(place, f"[{span.start}, {span.end}) is no span of a text of {length} characters.")
        return
    if response.text[span.start : span.end] != span.quote:
        yield _problem(f"{place}.quote", "is not the text at these offsets; reload the page.")
    if {span.start, span.end} & set(response.segments.joined):
        yield _problem(place, "begins or ends inside a character; move its border.")
    if not span.quote.strip():
        yield _problem(place, "marks white space only.")
    category = config.category(span.category)
    if category is None or category.kind != "span":
        yield _problem(f"{place}.category", f"{span.category!r:.60} is no category of spans here; choose another.")
    else:
        yield from _needs(span, category, item, place)
    yield from _antecedent(span, response.text, place)
    for i, evidence in enumerate(span.evidence):
        yield from _evidence(evidence, item, f"{place}.evidence.{i}")


def _needs(span: BodySpan, category: CategoryConfig, item: Item, place: str) -> Problems:
    """What the span's category asks for and the span lacks."""
    if span.severity is not None and span.severity not in category.severities:
        yield _problem(f"{place}.severity", f"{span.severity!r:.60} is no severity of {category.name}.")
    if span.severity is None and category.severities:
        yield _problem(f"{place}.severity", f"{category.name} needs one of {', '.join(category.severities)}.")
    if category.needs == "evidence" and item.passages and not span.evidence:
        yield _problem(f"{place}.evidence", f"{category.name} needs the sentences that it contradicts.")
    if category.needs == "comment" and not span.comment.strip():
        yield _problem(f"{place}.comment", f"{category.name} needs a comment.")
    if category.needs == "antecedent" and span.antecedent is None:
        yield _problem(f"{place}.antecedent", f"{category.name} needs the earlier words that it repeats.")


def _antecedent(span: BodySpan, text: str, place: str) -> Problems:
    earlier = span.antecedent
    if earlier is None:
        return
    if earlier.start is None or earlier.end is None:
        yield _problem(f"{place}.antecedent", "needs offsets.")
    elif not earlier.start < earlier.end <= span.start:
        yield _problem(f"{place}.antecedent", "must lie before the span that repeats it.")
    elif text[earlier.start : earlier.end] != earlier.text:
        yield _problem(f"{place}.antecedent.text", "is not the text at these offsets; reload the page.")


def _evidence(evidence: Evidence, item: Item, place: str) -> Problems:
    if evidence.passage >= len(item.passages):
        yield _problem(f"{place}.passage", f"there is no passage {evidence.passage}.")
        return
    count = len(item.passages[evidence.passage].sentences)
    yield from (
        _problem(f"{place}.sentences", f"passage {evidence.passage} has no sentence {number}.")
        for number in evidence.sentences
        if number >= count
    )
    if not evidence.sentences and not evidence.title:
        yield _problem(f"{place}.sentences", "names no sentence.")


def _unique_ids(body: Body) -> Problems:
    seen: set[str] = set()
    for i, span in enumerate(body.spans):
        if span.id in seen:
            yield _problem(f"spans.{i}.id", "is the id of another span; reload the page.")
        seen.add(span.id)


def _overlaps(body: Body, config: ProjectConfig) -> Problems:
    if config.overlap_rule == "any":
        return
    lanes: dict[tuple[str, str], list[tuple[int, BodySpan]]] = {}
    for i, span in enumerate(body.spans):
        lane = span.category if config.overlap_rule == "across_categories" else ""
        lanes.setdefault((span.target, lane), []).append((i, span))
    for lane in lanes.values():
        lane.sort(key=lambda entry: (entry[1].start, entry[1].end))
        reached = 0
        for i, span in lane:
            if span.start < reached:
                yield _problem(f"spans.{i}", "overlaps another span; this project does not allow that.")
            reached = max(reached, span.end)


def _missing(gap: BodyMissing, item: Item, config: ProjectConfig, place: str) -> Problems:
    category = config.category(gap.category)
    if category is None or category.kind != "missing":
        yield _problem(f"{place}.category", f"{gap.category!r:.60} is no category of missing information here.")
    if gap.evidence is not None:
        yield from _evidence(gap.evidence, item, f"{place}.evidence")
    elif item.passages and not gap.comment.strip():
        yield _problem(f"{place}.evidence", "names the sentence that says what is missing; or a comment says it.")


def _corrections(body: Body, item: Item, config: ProjectConfig) -> Problems:
    corrected = [edit.target for edit in body.corrections]
    if "edit" not in config.tasks:
        if corrected:
            yield _problem("corrections", "this project does not ask for edits.")
        return
    for i, edit in enumerate(body.corrections):
        if corrected.index(edit.target) < i:
            yield _problem(f"corrections.{i}.target", f"{edit.target} is corrected twice.")
        if not edit.text.strip() and not edit.reason.strip():
            yield _problem(f"corrections.{i}.reason", "says why nothing is left of the response.")
    if config.require_edit:
        absent = [key for key in annotated_keys(item, config) if key not in corrected]
        yield from (
            _problem("corrections", f"{key} is not edited; submit it unchanged if it is right.") for key in absent
        )


def _preferences(body: Body, item: Item, config: ProjectConfig) -> Problems:
    if "preference" not in config.tasks:
        if body.preferences:
            yield _problem("preferences", "this project does not ask for comparisons.")
        return
    seen: set[tuple[str, frozenset[str]]] = set()
    for i, preference in enumerate(body.preferences):
        pair = frozenset((preference.a, preference.b))
        if len(pair) < 2 or item.response(preference.a) is None or item.response(preference.b) is None:
            yield _problem(f"preferences.{i}", "needs two different responses of the item.")
        if preference.aspect not in config.aspects:
            yield _problem(f"preferences.{i}.aspect", f"{preference.aspect!r:.60} is no aspect of this project.")
        if (preference.aspect, pair) in seen:
            yield _problem(f"preferences.{i}", "compares two responses that are compared already.")
        seen.add((preference.aspect, pair))
    wanted = {(aspect, pair) for aspect in config.aspects for pair in expected_pairs(item, config)}
    if wanted - seen:
        yield _problem("preferences", f"{len(wanted - seen)} comparisons are not made yet.")


def _rankings(body: Body, item: Item, config: ProjectConfig) -> Problems:
    keys = sorted(response.key for response in item.responses)
    for i, ranking in enumerate(body.rankings):
        if sorted(key for tier in ranking.tiers for key in tier) != keys:
            yield _problem(f"rankings.{i}", "must hold each response once.")
        if ranking.aspect not in config.aspects:
            yield _problem(f"rankings.{i}.aspect", f"{ranking.aspect!r:.60} is no aspect of this project.")
    wanted = config.aspects if "preference" in config.tasks and config.pairs == "ranking" and len(keys) > 1 else ()
    absent = set(wanted) - {ranking.aspect for ranking in body.rankings}
    yield from (_problem("rankings", f"the responses are not ranked by {aspect} yet.") for aspect in sorted(absent))


def _answers(body: Body, config: ProjectConfig) -> Problems:
    given = {answer.key: answer.value for answer in body.answers}
    if len(given) < len(body.answers):
        yield _problem("answers", "hold two answers to one question.")
    for question in config.questions:
        if question.key not in given and question.required:
            yield _problem("answers", f"“{question.text:.80}” is not answered.")
        elif reason := question.problem(given[question.key]) if question.key in given else "":
            yield _problem(f"answers.{question.key}", reason)


def _doubtful_span(span: BodySpan, item: Item, config: ProjectConfig, place: str) -> Problems:
    category, response = config.category(span.category), item.response(span.target)
    if category is None or response is None:
        return
    words = count_words(span.quote)
    if words < category.min_words:
        yield _problem(place, f"has {words} of {category.min_words} words that training asks of {category.name}.")
    if re.search(r"\S", span.quote):
        bounds = response.segments.sentences
        touched = [b for b in bounds if Span(*b).overlap(Span(span.start, max(span.start, span.end)))]
        if len(touched) > 1 and category.level != "response":
            yield _problem(place, "crosses the end of a sentence.")


def _long_edits(body: Body, item: Item, config: ProjectConfig) -> Problems:
    for i, edit in enumerate(body.corrections):
        response = item.response(edit.target)
        words = count_words(response.text) if response else 0
        changed = changed_words(response.text, diff(response.text, edit.text)) if response else 0
        if words and changed / words > config.edit_limit:
            yield _problem(f"corrections.{i}", f"changes {changed} of {words} words; a minimal edit changes fewer.")


def _cycles(body: Body, aspect: str) -> Problems:
    """Preferences that no order of the responses satisfies."""
    better: dict[str, set[str]] = {}
    equal: list[tuple[str, str]] = []
    for preference in body.preferences:
        if preference.aspect == aspect and preference.choice in ("a", "b"):
            winner, loser = (preference.a, preference.b) if preference.choice == "a" else (preference.b, preference.a)
            better.setdefault(winner, set()).add(loser)
        elif preference.aspect == aspect:
            equal.append((preference.a, preference.b))
    for a, b in equal:  # ties hold in both directions, but are no strict win
        better.setdefault(a, set()).add(b)
        better.setdefault(b, set()).add(a)
    strict = [
        (p.a, p.b) if p.choice == "a" else (p.b, p.a)
        for p in body.preferences
        if p.aspect == aspect and p.choice in "ab"
    ]
    contradicted = [(winner, loser) for winner, loser in strict if _reaches(better, loser, winner)]
    if contradicted:
        winner, loser = contradicted[0]
        yield _problem("preferences", f"{winner} wins against {loser}, yet others together say that it does not.")


def _reaches(graph: dict[str, set[str]], start: str, goal: str) -> bool:
    seen, front = {start}, [start]
    while front:
        following: Iterable[str] = graph.get(front.pop(), set())
        new = set(following) - seen
        if goal in new:
            return True
        seen |= new
        front += new
    return False
