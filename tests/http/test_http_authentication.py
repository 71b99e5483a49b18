"""Basic authentication: credentials are read strictly, and the challenge says their charset."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.http.authentication import Credentials, format_challenge, parse_basic

texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@given(texts.filter(lambda user: ":" not in user), texts)
def test_what_a_client_encodes_is_read(user: str, password: str) -> None:
    token = base64.b64encode(f"{user}:{password}".encode())
    expected = Credentials(user.encode(), password.encode())
    for scheme in (b"Basic", b"basic", b"BASIC"):
        assert parse_basic(b"%b  %b" % (scheme, token)) == expected


def test_the_example_of_the_rfc() -> None:
    assert parse_basic(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == (b"Aladdin", b"open sesame")
    assert parse_basic(b"Basic dGVzdDoxMjPCow==") == (b"test", "123£".encode())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        b"Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== x",
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b"a:b\0c"),
        b"Basic " + base64.b64encode(b"a\n:b"),
        b"Basic " + base64.b64encode(b"a:\x7f"),
        b"Basic =",
        b"Basic A===",
    ],
)
def test_anything_else_is_no_credentials(value: bytes) -> None:
    assert parse_basic(value) is None


@given(st.binary(max_size=60))
def test_any_octets_are_read_or_are_no_credentials(octets: bytes) -> None:
    for value in (octets, b"Basic " + octets):
        credentials = parse_basic(value)
        assert credentials is None or b":" not in credentials.user


def test_the_challenge_asks_for_utf_8() -> None:
    name, value = format_challenge(b"epollo")
    assert (name, value) == (b"WWW-Authenticate", b'Basic realm="epollo", charset="UTF-8"')
