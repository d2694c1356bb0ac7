"""Marked answers as a user brings them, in the user's own categories."""

from spanwise.feedback import FeedbackRecord, Response, mark

NAMES = ("Ada", "Ines", "Tom", "Lia", "Max", "Eva", "Jon", "Mia")
TOWNS = ("Oslo", "Bergen", "Lund", "Kiel", "Riga")


def marked_answers(count):
    """Records whose odd answers stray and whose every third names a wrong town; two have a category of their own."""
    records = []
    for number in range(count):
        name, town = NAMES[number % len(NAMES)], TOWNS[number % len(TOWNS)]
        text = f"{name} lives in {town}." + (" It rains a lot." if number % 2 else "")
        spans = [mark(text, text.index("It rains"), len(text), "Off topic")] if number % 2 else []
        if number % 3 == 0:
            spans.append(mark(text, text.index(town), text.index(town) + len(town), "Wrong town"))
        if number in (4, 8):
            spans.append(mark(text, 0, len(name), "Spelling"))
        response = Response(text=text, marked=True, spans=tuple(spans))
        prompt = f"Where does {name} live ({number})?"
        records.append(FeedbackRecord(id=f"q{number}", prompt=prompt, responses=(response,)))
    return records
