"""Lines of a password file; how often an address may guess; which paths are protected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.connections.addresses import network_of
from epollo.errors import OperatorError
from epollo.site.access.guesses import AT_ONCE, EVERY_SECONDS, Guesses
from epollo.site.access.passwords import Mistake, parse_passwords
from epollo.site.access.realm import Realm, parse_prefixes


def find_mistake(hashed: bytes) -> str:
    return "" if hashed.startswith(b"hash") else "is wrong"


def test_the_lines_of_a_password_file() -> None:
    octets = (
        b"# users of the site\n\nann:hash1\r\nbob:hash2:Bob, of the office\n  cid:hash3  \n"
        b"nothing\ndora:other\nann:hash4\n:hash5\n\xc3\xa4:hash6"
    )
    users, mistakes = parse_passwords(octets, find_mistake)
    assert users == {
        b"ann": b"hash1",
        b"bob": b"hash2",
        b"cid": b"hash3",
        b"": b"hash5",
        b"\xc3\xa4": b"hash6",
    }
    assert mistakes == [
        Mistake(6, "this line is not a user, a colon and a hash"),
        Mistake(7, "the hash is wrong"),
        Mistake(8, "this line repeats a user; the first line with it holds"),
    ]


@given(st.binary(max_size=200))
def test_any_octets_are_lines(octets: bytes) -> None:
    users, mistakes = parse_passwords(octets, find_mistake)
    assert len(users) + len(mistakes) <= octets.count(b"\n") + 1


def test_an_address_has_some_guesses_at_once_and_then_one_at_a_time() -> None:
    guesses = Guesses(network_of)
    for number in range(AT_ONCE):
        assert guesses.find_wait("192.0.2.1", 100) == 0, number
        guesses.note("192.0.2.1", 100)
    assert guesses.find_wait("192.0.2.1", 100) == EVERY_SECONDS
    assert guesses.find_wait("192.0.2.1", 104) == pytest.approx(EVERY_SECONDS - 4)
    assert guesses.find_wait("192.0.2.2", 100) == 0
    now = 100 + EVERY_SECONDS
    assert guesses.find_wait("192.0.2.1", now) == 0
    guesses.note("192.0.2.1", now)
    assert guesses.find_wait("192.0.2.1", now) == EVERY_SECONDS
    # All is forgotten in the end.
    assert guesses.find_wait("192.0.2.1", now + AT_ONCE * EVERY_SECONDS) == 0
    for _ in range(AT_ONCE):
        assert guesses.find_wait("192.0.2.1", 1000) == 0
        guesses.note("192.0.2.1", 1000)


def test_a_guess_that_was_right_does_not_count() -> None:
    guesses = Guesses(network_of)
    for _ in range(10 * AT_ONCE):
        assert guesses.find_wait("192.0.2.1", 100) == 0
        guesses.note("192.0.2.1", 100)
        guesses.take_back("192.0.2.1")
    guesses.take_back("192.0.2.9")


def test_the_addresses_of_one_client_count_as_one() -> None:
    guesses = Guesses(network_of)
    for number in range(AT_ONCE):
        guesses.note(f"2001:db8::{number:x}", 100)
    assert guesses.find_wait("2001:db8::ffff:1", 100) > 0
    assert guesses.find_wait("2001:db8:0:1::1", 100) == 0
    for _ in range(AT_ONCE):
        guesses.note("", 100)
    assert guesses.find_wait("", 100) > 0


def test_many_addresses_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epollo.site.access.guesses._ADDRESSES_LIMIT", 100)
    guesses = Guesses(network_of)
    for number in range(1000):
        guesses.note(f"10.0.{number >> 8}.{number & 255}", 100)
    assert len(guesses._until) <= 200


@pytest.mark.parametrize(
    ("path", "is_protected"),
    [
        (b"/private", True),
        (b"/private/", True),
        (b"/private/a/b.html", True),
        (b"//private//a", True),
        (b"/x/../private/a", True),
        (b"/%70rivate/a", True),
        (b"/PRIVATE/a", True),
        (b"/private./a", True),
        (b"/%70RIVATE%20/a", True),
        (b"/privates", False),
        (b"/private.html", True),
        (b"/Private.HTML", True),
        (b"/private.html/x", False),
        (b"/private.html.gz", True),
        (b"/private.br", True),
        (b"/Private.HTML.ZST", True),
        (b"/private.gz/x", False),
        (b"/private.txt.gz", False),
        (b"/privates.html.gz", False),
        (b"/deep/down.html.br", True),
        (b"/pri%E2%80%8Dvate/a", True),
        (b"/%EF%BB%BFprivate/a", True),
        (b"/%E2%84%99rivate/a", True),
        (b"/private.htm", False),
        (b"/deep/down.html", True),
        (b"/x/private.html", False),
        (b"/x/private", False),
        (b"/private/../x", False),
        (b"/", False),
        (b"/deep/down", True),
        (b"/deep/down/a", True),
        (b"/deep", False),
        (b"/de\xc3\x89p", False),
        (b"/caf%C3%A9/x", True),
        (b"/cafe%CC%81/x", True),
        (b"/%ff", False),
        (b"/bad%", True),
        (b"/..", True),
        (b"", False),
    ],
)
def test_which_paths_are_protected(path: bytes, is_protected: bool) -> None:
    realm = Realm(parse_prefixes("/private, /deep/down/,/caf\u00e9"))
    assert realm.has_path(path) is is_protected
    assert realm.has_path(path) is is_protected


def test_the_whole_site() -> None:
    realm = Realm(parse_prefixes("/"))
    for path in (b"/", b"/a", b"/bad%", b""):
        assert realm.has_path(path)


@pytest.mark.parametrize("text", ["private", "/a,,/b", "", "/%", "/../x", "/%2f"])
def test_what_is_no_path_is_named(text: str) -> None:
    with pytest.raises(OperatorError, match="is no path such as /private"):
        parse_prefixes(text)
