"""Every word on a page stands in the catalogue of each language, and a page speaks the language of its reader."""

import json
import re
from pathlib import Path

import pytest
from doubles.script_words import scanned
from starlette.testclient import TestClient

from spanwise.annotate.store.setup import open_project
from spanwise.annotate.web.app import create_app
from spanwise.annotate.web.messages import CATALOGUES, LANGUAGES, direction_of, translate

ROOT = Path(__file__).parents[3] / "src/spanwise/annotate"
TEMPLATES = sorted((ROOT / "web" / "templates").glob("*.html"))
SCRIPTS = sorted(path for path in (ROOT / "static").rglob("*.js") if "vendor" not in path.parts)
CATALOGUE_OF = {code: json.loads((CATALOGUES / f"{code}.json").read_text()) for code in LANGUAGES if code != "en"}
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
UNSPOKEN = re.compile(r"<(script|svg|code|kbd)\b.*?</\1>|<!doctype html>|&\w+;", re.DOTALL)
SPOKEN_ATTRIBUTE = re.compile(r'\b(?:aria-label|title|placeholder|alt)="([^"]*)"')
LETTERS = re.compile(r"[^\W\d_]{2,}")
SAME = {"ann, @group", "full"}
"""Examples of names, which no language translates, and the name of a class."""


def literals(path: Path) -> list[str]:
    """What a template says outside of `t()`: words between tags, and in the attributes that are read out."""
    text = UNSPOKEN.sub("", JINJA.sub("", path.read_text()))
    said = [part.strip() for part in re.sub(r"<[^>]*>", "\0", text).split("\0")]
    return [part for part in (*said, *SPOKEN_ATTRIBUTE.findall(text)) if LETTERS.search(part) and part not in SAME]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_a_word_outside_of_the_catalogue(path: Path) -> None:
    assert literals(path) == []


# Scripts ---------------------------------------------------------------------------------------------------------

KEY_NAMES = re.compile(
    r"(Everywhere|Mark|Edit|Compare|Adjudicate|Heat map|Runs|Enter|Escape|Home|End|Backspace|Delete|Control|Digit|Space"
    r"|Tab|Esc|Ctrl|Meta|Alt|Shift|Mod|AltGraph|Arrow\w+|TimeoutError|(Shift|Alt|Ctrl|Mod)\+.*)$"
)
"""Names of keys and groups: the latter are looked up where they are shown."""
UNSHOWN = re.compile(r"\.top nav|#runs|dialog wide|system-ui|^[a-z-]+\.[a-z.]+$")
PROSE = re.compile(r"[A-Za-z]{2,}[ ,.;:]+[A-Za-z]{2,}")
SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]|^[A-Z][a-z]+")


def spoken(source: str) -> list[str]:
    """What a script shows outside of `t()`."""
    said: list[str] = []
    for one in scanned(source):
        text = "\0".join(one.pieces)
        if one.kind == "html":
            text = re.sub(r"<(kbd|code)>.*?</\1>", "", text)
            parts = [*re.findall(r">([^<>]*)(?=<|$)", text), *SPOKEN_ATTRIBUTE.findall(text)]
            said += [part.strip() for part in parts if LETTERS.search(part)]
        elif one.kind == "template":
            inside = source[: one.begin].rstrip().endswith("new Error(")  # which only its programmer reads
            said += [piece for piece in one.pieces if not inside and PROSE.search(piece)]
        elif SENTENCE.search(text) and not (KEY_NAMES.match(text) or UNSHOWN.search(text)):
            before = source[: one.begin].rstrip()
            said += [] if re.search(r"\bt\($|\bfrom$|\b(label|group|show):$", before) else [text]
    return said


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_says_a_word_outside_of_the_catalogue(path: Path) -> None:
    assert spoken(path.read_text()) == []


def test_words_outside_of_the_catalogue_would_be_found() -> None:
    inner = '${y ? html`<b>bye</b>` : "See you"}'
    source = f'const x = /"/; html`<p title="Hello there">Good {inner} <kbd>G</kbd></p>`; t("Not me");'
    assert sorted(part.strip("\0 ") for part in spoken(source)) == ["Good", "Hello there", "See you", "bye"]


# Catalogues ------------------------------------------------------------------------------------------------------

CALLED = re.compile(r"\bt\(\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')")
LOOKED_UP = {
    *("open", "leased", "done", "skipped", "normal", "gold", "train"),
    *("admin", "manager", "annotator", "viewer", "human", "adjudicated", "imported", "model"),
    *("a", "b", "tie", "both_bad", "Saved."),
    "Somebody else had taken the item meanwhile; your work is kept as an extra annotation.",
}
"""Words that come from the server and are looked up by what they are."""


def messages() -> set[str]:
    """All that pages say."""
    asked = set(LOOKED_UP)
    for path in (*TEMPLATES, *SCRIPTS):
        text = path.read_text()
        asked |= {(double or single).replace('\\"', '"') for double, single in CALLED.findall(text)}
        asked |= set(re.findall(r'link\("[^"]*", "([^"]+)"\)', text)) if path.name == "base.html" else set()
        asked |= set(re.findall(r'\b(?:label|group): "([^"]+)"', text)) if path.name == "keys.js" else set()
    return asked


@pytest.mark.parametrize("language", sorted(CATALOGUE_OF))
def test_a_catalogue_holds_every_message_and_no_other(language: str) -> None:
    assert set(CATALOGUE_OF[language]) == messages()


@pytest.mark.parametrize("language", sorted(CATALOGUE_OF))
def test_a_translation_names_the_same_values(language: str) -> None:
    for message, said in CATALOGUE_OF[language].items():
        assert sorted(re.findall(r"\{\w+\}", message)) == sorted(re.findall(r"\{\w+\}", said)), message
        assert said.strip()


def test_values_are_put_in_and_unknown_messages_stay() -> None:
    assert translate("de", "{count} open", count=3) == "3 offen"
    assert translate("zh", "no such message {x}") == "no such message {x}"
    assert (direction_of("ar"), direction_of("zh")) == ("rtl", "ltr")


# Pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path):
    database, project = open_project(tmp_path, preset_name="qa-feedback")
    yield TestClient(create_app(database, project), base_url="http://127.0.0.1:8000")
    database.close()


@pytest.mark.parametrize(
    ("accepted", "language", "word"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Anmelden"),
        ("fr, zh-CN;q=0.8, de;q=0.3", "zh", "登录"),
        ("en;q=0.1, de;q=0", "en", "Log in"),
        ("xx", "en", "Log in"),
        ("de;q=nonsense", "en", "Log in"),
        ("", "en", "Log in"),
    ],
)
def test_a_page_speaks_the_language_that_the_browser_asks_for(browser, accepted, language, word) -> None:
    page = browser.get("/login", headers={"accept-language": accepted}).text
    assert f'<html lang="{language}" dir="ltr"' in page
    assert f"<h1>{word}</h1>" in page


def test_the_language_that_somebody_chose_comes_first(browser) -> None:
    for chosen, word in (("de", "Anmelden"), ("../en", "登录")):
        asked = {"accept-language": "zh", "cookie": f"spanwise-language={chosen}"}
        assert f"<h1>{word}</h1>" in browser.get("/login", headers=asked).text
