"""Edit pairs of the small task of `reward_world.py`: the original says a weekday or an animal, the edit a colour."""

from doubles.reward_world import ANIMALS, COLOURS, DAYS, FRAMES
from spanwise.core.seeding import numpy_generator
from spanwise.feedback.edits import Editor, edit_pair
from spanwise.feedback.schema import FeedbackRecord, Response, mark


def sentence(words):
    """Both frames filled in."""
    parts = [frame.format(word) for frame, word in zip(FRAMES, words, strict=True)]
    return " ".join(part[0].upper() + part[1:] for part in parts)


def edit_pairs(count, purpose="edits"):
    """`count` pairs in which one wrong word became right; the tags of its words are in the provenance."""
    generator = numpy_generator(0, purpose)
    return [_pair(f"{purpose}{number}", generator) for number in range(count)]


def marked_records(count, purpose="marks"):
    """One-response records of the originals of as many pairs, the wrong word marked."""
    found = []
    for pair in edit_pairs(count, purpose):
        word = pair.original[pair.spans[0].start : pair.spans[0].end]
        marks = (mark(pair.original, pair.spans[0].start, pair.spans[0].start + len(word), "Wrong"),)
        response = Response(text=pair.original, marked=True, spans=marks)
        found.append(FeedbackRecord(id=pair.id, prompt=pair.prompt, responses=(response,)))
    return found


def _pair(name, generator):
    place = int(generator.integers(2))
    right = [COLOURS[generator.integers(3)] for _ in FRAMES]
    wrong = list(right)
    wrong[place] = (*DAYS, *ANIMALS)[generator.integers(6)]
    original = sentence(wrong)
    tags = ["OK"]
    for word in original.split():
        tags += ["BAD" if word == wrong[place] else "OK", "OK"]
    return edit_pair(
        original,
        sentence(right),
        id=name,
        prompt=f"what was house {name} called ?",
        editor=Editor(kind="oracle"),
        provenance={"tags": tags},
    )
