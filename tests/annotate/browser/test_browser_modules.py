"""The scripts' own arithmetic, checked by Python: offsets, pieces of overlapping marks, diffs, snapping, undo."""

import random
from itertools import pairwise

import pytest
from browser_server import FAIR

from spanwise.annotate.store.items import segments_of
from spanwise.text import count_words

pytestmark = pytest.mark.browser

SIGNS = [
    "a",
    "b ",
    " ",
    "\n",
    "é",
    "e\u0301",
    "漢",
    "\U0001f600",
    "\U0001f468\u200d\U0001f692",
    "\U00020000",
    "שלום ",
    "word, ",
    ". ",
]


def texts(count: int, length: int = 14) -> list[str]:
    """Random texts of all kinds of characters."""
    chosen = random.Random(7)
    return ["".join(chosen.choices(SIGNS, k=chosen.randrange(length))) for _ in range(count)]


@pytest.fixture
def modules(serve, visit):
    """modules(name, body, argument): runs a script body with the module as `m` and the argument as `x`."""
    server = serve()
    server.add(FAIR)
    page = visit(server, "/guidelines")
    base = f"{server.url}/static/{server.site.build}/"

    def run(name: str, body: str, argument):
        return page.evaluate(f"async x => {{ const m = await import('{base}{name}'); {body} }}", argument)

    return run


def test_offsets_are_those_of_python(modules) -> None:
    samples = texts(300)
    found = modules(
        "text/offsets.js",
        """return x.map(text => { const o = new m.Offsets(text);
             const points = Array.from({length: o.length + 1}, (_, i) => i);
             return [o.length, points.map(p => o.toUnit(p)), points.map(p => o.toPoint(o.toUnit(p))),
                     points.map(p => o.slice(p, Math.min(p + 2, o.length)))]; })""",
        samples,
    )
    for text, (length, units, back, slices) in zip(samples, found, strict=True):
        assert length == len(text)
        assert units == [len(text[:point].encode("utf-16-le")) // 2 for point in range(len(text) + 1)]
        assert back == list(range(len(text) + 1))
        assert slices == [text[point : point + 2] for point in range(len(text) + 1)]


def test_pieces_cover_the_text_and_know_their_marks(modules) -> None:
    chosen = random.Random(3)
    cases = []
    for _ in range(200):
        edges = [sorted(chosen.sample(range(21), 2)) for _ in range(chosen.randrange(6))]
        cases.append([{"id": f"s{n}", "start": a, "end": b} for n, (a, b) in enumerate(edges)])
    for marks, pieces in zip(
        cases, modules("text/pieces.js", "return x.map(r => m.pieces(0, 20, r))", cases), strict=True
    ):
        assert [pieces[0]["start"], pieces[-1]["end"]] == [0, 20]
        assert all(one["end"] == two["start"] for one, two in pairwise(pieces))
        for piece in pieces:
            inside = [m["id"] for m in marks if m["start"] <= piece["start"] and piece["end"] <= m["end"]]
            assert piece["ids"] == inside


def test_diffs_rebuild_both_texts_and_each_change_can_go_back(modules) -> None:
    pairs = list(zip(texts(400), reversed(texts(400)), strict=True))
    found = modules(
        "text/diff.js",
        "return x.map(([a, b]) => { const r = m.wordDiff(a, b); return [r, r.map((_, i) => m.revert(r, i))]; })",
        pairs,
    )
    for (before, after), (runs, reverted) in zip(pairs, found, strict=True):
        assert "".join(run["before"] for run in runs) == before
        assert "".join(run["after"] for run in runs) == after
        for index, text in enumerate(reverted):
            parts = [run["before"] if place == index else run["after"] for place, run in enumerate(runs)]
            assert text == "".join(parts)
        assert all(run["before"] == run["after"] for run in runs if run["kind"] == "same")


def test_a_deleted_sentence_is_shown_as_one(modules) -> None:
    before, after = "One is here. Two is here. Three is.", "One is here. Three is."
    runs = modules("text/diff.js", "return m.wordDiff(x[0], x[1])", [before, after])
    changed = [run["before"] for run in runs if run["kind"] == "change"]
    assert changed == ["Two is here. "]


def test_words_are_counted_as_the_server_counts_them(modules) -> None:
    scripts = ["我喜欢 iPhone 15。", "コンピューターを使う", "हिन्दी में", "ที่นี่ภาษา", "မြန်မာ။", "well-known, isn't --"]
    written = [*texts(300), *scripts]
    assert modules("text/diff.js", "return x.map(m.countWords)", written) == list(map(count_words, written))


def test_snapping_ends_at_the_servers_boundaries(modules) -> None:
    cases = [(text, segments_of(text).model_dump(mode="json")) for text in texts(150, 30)]
    found = modules(
        "text/units.js",
        """const {Offsets} = await import(new URL("offsets.js", document.querySelector("script[type=module]").src
             .replace("pages/shell.js", "text/")));
           return x.map(([text, segments]) => { const s = new m.Snapping(new Offsets(text), segments); const out = [];
             for (let p = 0; p < s.offsets.length; p += 1)
               out.push(["word", "character"].map(level => s.snap(p, p + 1, level)));
             return out; })""",
        cases,
    )
    for (text, segments), ranges in zip(cases, found, strict=True):
        for point, (word, character) in enumerate(ranges):
            around = [pair for pair in segments["words"] if pair[0] <= point < pair[1]]
            assert word == (around[0] if around else None), (text, point)
            assert not set(character) & set(segments["joined"])
            assert character[0] <= point < character[1]


def test_undo_and_redo_are_exact_and_survive_storing(modules) -> None:
    chosen = random.Random(5)
    steps = [
        {
            "type": "span.add",
            "response": 0,
            "span": {"id": f"s{n}", "start": n, "end": n + 2, "category": "x", "evidence": []},
        }
        for n in chosen.sample(range(50), 20)
    ]
    before, undone, redone, restored, cut = modules(
        "state/history.js",
        """const here = document.querySelector("script[type=module]").src;
           const d = await import(here.replace("pages/shell.js", "state/document.js"));
           let h = m.begin(d.reduce, d.emptyDocument(1));
           const states = [h.state];
           for (const step of x) { h = m.apply(h, step); states.push(h.state); }
           const undone = []; let u = h;
           while (m.canUndo(u)) { undone.unshift(u.state); u = m.undo(u); }
           undone.unshift(u.state);
           const back = m.restored(d.reduce, JSON.parse(JSON.stringify(m.stored(u))));
           const redone = []; let r = back;
           while (m.canRedo(r)) { r = m.redo(r); redone.push(r.state); }
           const forked = m.apply(m.undo(h), x[0]);
           return [states, undone, redone, back.state, forked.log.length];""",
        steps,
    )
    assert undone == before
    assert redone == before[1:]
    assert restored == before[0]
    assert cut == len(steps)


def test_cautions_are_those_of_a_comparison_of_all_spans_with_all(modules) -> None:
    text = "One two three four. Five six seven eight nine. Ten."
    segments = segments_of(text).model_dump(mode="json")
    categories = [{"name": name, "label": name.upper(), "min_words": 3} for name in "abc"]
    chosen = random.Random(11)
    cases = []
    for _ in range(200):
        edges = [sorted(chosen.sample(range(len(text)), 2)) for _ in range(chosen.randrange(1, 9))]
        spans = [
            {"id": f"s{n}", "start": start, "end": end, "category": chosen.choice("abc")}
            for n, (start, end) in enumerate(edges)
        ]
        spans += [spans[0] | {"id": "twin", "category": chosen.choice("abc")}]
        cases.append(sorted(spans, key=lambda span: (span["start"], span["end"], span["id"])))
    found = modules(
        "state/cautions.js",
        """const here = document.querySelector("script[type=module]").src;
           const {Offsets} = await import(here.replace("pages/shell.js", "text/offsets.js"));
           const {Snapping} = await import(here.replace("pages/shell.js", "text/units.js"));
           const offsets = new Offsets(x.text);
           const text = {offsets, snapping: new Snapping(offsets, x.segments)};
           return x.cases.map(spans => [...m.cautions(spans, text, {categories: x.categories})]);""",
        {"text": text, "segments": segments, "categories": categories, "cases": cases},
    )
    for spans, told in zip(cases, found, strict=True):
        reasons = dict(told)
        for span in spans:
            within = any(
                other is not span
                and other["start"] <= span["start"]
                and span["end"] <= other["end"]
                and other["category"] < span["category"]
                for other in spans
            )
            short = len(text[span["start"] : span["end"]].split()) < 3
            said = " ".join(reasons.get(span["id"], []))
            assert ("lies in a span" in said, "too short" in said) == (within, short), (spans, span)
