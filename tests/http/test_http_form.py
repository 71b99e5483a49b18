"""Values of a query are read and written as the standard library has it."""

from urllib.parse import quote_plus, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from epollo.http.form import decode_value, encode_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PARTS = st.sampled_from([b"%", b"%2", b"%41", b"%c3%a4", b"%C3", b"+", b"a", b"\xff", b"%%41"])


@given(TEXTS)
@example("a b+c/d~e_f.g-h?&=%")
def test_a_text_is_written_and_read(text: str) -> None:
    assert encode_value(text) == quote_plus(text)
    assert decode_value(encode_value(text).encode()) == text


@given(st.lists(PARTS).map(b"".join))
@example(b"%+41")
def test_any_octets_are_read(octets: bytes) -> None:
    theirs = unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8", "replace")
    assert decode_value(octets) == theirs
