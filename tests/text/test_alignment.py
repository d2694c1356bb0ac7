"""Token spans against what the tokenizers themselves decode, for every family and for ids no one would choose."""

import pytest
from doubles.small_tokenizers import FAMILIES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanwise.core.errors import DataError
from spanwise.text.alignment import TokenAligner
from spanwise.text.spans import Span


def decode(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def check(tokenizer, ids):
    """All that an alignment promises; prefix decoding is the judge of each token where it can be one."""
    aligned = TokenAligner(tokenizer).align(ids)
    text, spans = aligned.text, aligned.spans
    assert text == decode(tokenizer, ids)
    assert len(spans) == len(ids)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert {at for span in spans for at in range(span.start, span.end)} == set(range(len(text)))
    assert not any(len(span) for span, id_ in zip(spans, ids, strict=True) if id_ in tokenizer.all_special_ids)
    if not any("<0x" in token for token in tokenizer.convert_ids_to_tokens(ids)):
        for count, span in enumerate(spans, start=1):
            so_far = decode(tokenizer, ids[:count])
            if text.startswith(so_far) and len(span):
                assert span.end == len(so_far)
    return aligned


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_random_ids_align_with_what_they_decode_to(family, data):
    tokenizer = FAMILIES[family]()
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=16))
    check(tokenizer, ids)


@pytest.mark.parametrize("family", ["llama", "gemma"])
@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from(" é€😀\ufffd\0").map(str.encode),
            st.binary(max_size=2),
            st.just(b"\xe2\x82"),
            st.just(b"\xf0"),
        ),
        max_size=5,
    )
)
@settings(max_examples=120, deadline=None)
def test_a_run_of_byte_tokens_is_text_as_a_whole_or_not_at_all(family, pieces):
    tokenizer = FAMILIES[family]()
    data = b"".join(pieces)
    run = tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in data])
    letter = tokenizer.convert_tokens_to_ids("n")
    aligned = check(tokenizer, [letter, *run, letter])
    try:
        inner = data.decode()
        owners = [at for at, character in enumerate(inner) for _ in character.encode()]
    except UnicodeDecodeError:
        inner = "\ufffd" * len(data)
        owners = list(range(len(data)))
    assert aligned.text == f"n{inner}n"
    assert aligned.spans[1:-1] == tuple(Span(at + 1, at + 2) for at in owners)


def test_the_space_that_llama_strips_in_front_was_written_by_no_token():
    tokenizer = FAMILIES["llama"]()
    ids = tokenizer.convert_tokens_to_ids(["<0x20>", "<0xC3>", "<0xA9>"])
    aligned = check(tokenizer, ids)
    assert (aligned.text, aligned.spans) == ("é", (Span(0, 0), Span(0, 1), Span(0, 1)))


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example(text="  two  spaces, a\ttab\r\nand 👩‍👩‍👧 é (e\u0301) \x00 \u2029 ﷽")
@example(text="")
@settings(max_examples=60, deadline=None)
def test_tokenised_text_aligns(family, text):
    tokenizer = FAMILIES[family]()
    check(tokenizer, [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id])


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [
        ("gpt2", "Ada was born 😀.", ["Ada", " was", " born", " 😀", "😀", ".", ""]),
        ("llama", "b é.", ["b", " ", "é", "é", ".", ""]),
        ("gemma", " n", [" ", "n", ""]),
        ("t5", "Ada was", ["", "A", "d", "a", " w", "as", ""]),
        ("wordpiece", "Ada was here.", ["ada", " was", " h", "er", "e", ".", ""]),
    ],
)
def test_what_each_token_wrote(family, text, expected):
    tokenizer = FAMILIES[family]()
    aligned = check(tokenizer, [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id])
    assert [span.of(aligned.text) for span in aligned.spans] == expected


def test_a_character_of_three_tokens_belongs_to_all_of_them():
    tokenizer = FAMILIES["gpt2"]()
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ("â", "Ĥ", "¬")]  # E2 82 AC, the euro sign
    assert TokenAligner(tokenizer).align(ids).spans == (Span(0, 1),) * 3
    # Without its last byte it is one ill-formed sequence; with a special token inside it is whole again.
    cut = TokenAligner(tokenizer).align(ids[:2])
    assert (cut.text, cut.spans) == ("\ufffd", (Span(0, 1),) * 2)
    parted = TokenAligner(tokenizer).align([ids[0], tokenizer.eos_token_id, *ids[1:]])
    assert (parted.text, parted.spans) == ("€", (Span(0, 1), Span(0, 0), Span(0, 1), Span(0, 1)))


def test_another_tokenisation_of_the_same_text_is_aligned_as_it_was_sampled():
    tokenizer = FAMILIES["gpt2"]()
    chosen = tokenizer(" was").input_ids
    letters = [tokenizer.convert_tokens_to_ids(token) for token in ("Ġ", "w", "a", "s")]
    assert len(chosen) == 1
    aligned = TokenAligner(tokenizer).align(letters)
    assert [span.of(aligned.text) for span in aligned.spans] == [" ", "w", "a", "s"]


def test_added_tokens_that_are_not_special_write_their_text():
    tokenizer = FAMILIES["gpt2"].__wrapped__()
    tokenizer.add_tokens(["<tool é>"])
    ids = tokenizer("Ada <tool é> was").input_ids
    aligned = check(tokenizer, ids)
    assert "<tool é>" in [span.of(aligned.text) for span in aligned.spans]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wrong", [-1, 10_000, 2**40])
def test_an_unknown_id_is_named_with_its_position(family, wrong):
    tokenizer = FAMILIES[family]()
    with pytest.raises(DataError, match=f"Token id {wrong} at position 2 .*tokenizer of the policy"):
        TokenAligner(tokenizer).align([5, 6, wrong])


def test_only_special_tokens_and_nothing_at_all():
    aligner = TokenAligner(FAMILIES["llama"]())
    assert aligner.align([1, 0]).spans == (Span(0, 0), Span(0, 0))
    assert (aligner.align([]).text, aligner.align([]).spans) == ("", ())


def test_a_bare_backend_tokenizer_will_do():
    tokenizer = FAMILIES["t5"]()
    ids = tokenizer("Ada Veld").input_ids
    assert TokenAligner(tokenizer.backend_tokenizer).align(ids) == TokenAligner(tokenizer).align(ids)
