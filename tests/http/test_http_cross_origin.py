"""What other origins are allowed, as the Fetch Standard has browsers read it."""

import pytest

from epollo.http.cross_origin import OriginPolicy, parse_origins

PREFLIGHT = {b"origin": b"https://a.example", b"access-control-request-method": b"GET"}


def test_an_origin_is_written_as_browsers_write_it() -> None:
    assert parse_origins("any") is None
    assert parse_origins(" * ") is None
    assert parse_origins("https://A.example, http://localhost:5173,https://a.example") == (
        b"https://a.example",
        b"http://localhost:5173",
    )
    assert parse_origins("https://a.example:443,http://a.example:80,http://a.example:443") == (
        b"https://a.example",
        b"http://a.example",
        b"http://a.example:443",
    )
    assert parse_origins("http://[::1]:80,chrome-extension://abc,capacitor://localhost") == (
        b"http://[::1]",
        b"chrome-extension://abc",
        b"capacitor://localhost",
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a.example", ""),
        ("https://a.example/", "is https://a.example meant?"),
        ("https://a.example/path?x", "is https://a.example meant?"),
        ("https://", ""),
        ("null", ""),
        ("", ""),
        ("https://a.example,", ""),
        ("https://ä.example", ""),
        ("https://u@a.example", ""),
        ("https://a example", ""),
        ("https://*.example", ""),
        ("https://a.example:99999", ""),
    ],
)
def test_what_is_no_origin_is_named(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=r"is no origin such as https://example\.com") as told:
        parse_origins(text)
    assert str(told.value).partition("example.com")[2] == (f"; {meant}" if meant else "")


@pytest.mark.parametrize("text", ["any,https://a.example", "https://a.example, *"])
def test_any_stands_alone(text: str) -> None:
    with pytest.raises(ValueError, match="stands alone: it is for every origin"):
        parse_origins(text)


def test_any_origin_may_read_without_a_look_at_the_origin() -> None:
    policy = OriginPolicy(None)
    fields = dict(policy.select_fields({}))
    assert fields[b"Access-Control-Allow-Origin"] == b"*"
    assert fields[b"Cross-Origin-Resource-Policy"] == b"cross-origin"
    assert b"ETag" in fields[b"Access-Control-Expose-Headers"]
    assert b"Content-Range" in fields[b"Access-Control-Expose-Headers"]
    assert policy.select_fields({b"origin": b"https://a.example"}) == policy.select_fields({})
    assert b"Vary" not in fields
    assert b"origin" not in policy.relevant_fields


def test_one_origin_is_always_named() -> None:
    policy = OriginPolicy((b"https://a.example",))
    for origin in (b"https://a.example", b"https://b.example", b"null"):
        fields = dict(policy.select_fields({b"origin": origin}))
        assert fields[b"Access-Control-Allow-Origin"] == b"https://a.example"
        assert b"Vary" not in fields
        assert b"Cross-Origin-Resource-Policy" not in fields
    assert b"origin" not in policy.relevant_fields


def test_of_several_origins_the_one_that_asks_is_named() -> None:
    policy = OriginPolicy((b"https://a.example", b"http://b.example"))
    assert b"origin" in policy.relevant_fields
    for origin in (b"https://a.example", b"http://b.example"):
        fields = dict(policy.select_fields({b"origin": origin}))
        assert fields[b"Access-Control-Allow-Origin"] == origin
        assert fields[b"Vary"] == b"Origin"
    for others in ({}, {b"origin": b"https://b.example"}, {b"origin": b"null"}, {b"origin": b""}):
        assert policy.select_fields(others) == ((b"Vary", b"Origin"),)


def test_credentials_are_for_listed_origins_alone() -> None:
    name = b"Access-Control-Allow-Credentials"
    listed = OriginPolicy((b"https://a.example",), has_credentials=True)
    assert dict(listed.select_fields({}))[name] == b"true"
    assert dict(listed.select_preflight_fields(PREFLIGHT) or ())[name] == b"true"
    assert name not in dict(OriginPolicy((b"https://a.example",)).select_fields({}))
    assert name not in dict(OriginPolicy(None, has_credentials=True).select_fields({}))


def test_a_preflight_is_allowed_what_a_reader_needs() -> None:
    policy = OriginPolicy(None)
    assert policy.select_preflight_fields({b"origin": b"https://a.example"}) is None
    fields = dict(policy.select_preflight_fields(PREFLIGHT) or ())
    assert fields[b"Access-Control-Allow-Origin"] == b"*"
    assert fields[b"Access-Control-Allow-Methods"] == b"GET, HEAD, OPTIONS"
    assert b"Access-Control-Allow-Headers" not in fields
    assert b"Access-Control-Expose-Headers" not in fields
    assert b"Access-Control-Allow-Private-Network" not in fields
    asked = {
        **PREFLIGHT,
        b"access-control-request-headers": b"authorization,range",
        b"access-control-request-private-network": b"true",
    }
    fields = dict(policy.select_preflight_fields(asked) or ())
    assert fields[b"Access-Control-Allow-Headers"] == b"authorization, range"
    assert fields[b"Access-Control-Allow-Private-Network"] == b"true"


def test_a_preflight_of_another_origin_is_allowed_nothing() -> None:
    policy = OriginPolicy((b"https://b.example", b"https://c.example"))
    asked = {
        **PREFLIGHT,
        b"access-control-request-headers": b"range",
        b"access-control-request-private-network": b"true",
    }
    assert policy.select_preflight_fields(asked) == ((b"Vary", b"Origin"),)


@pytest.mark.parametrize("names", [b"", b"a b", b"a\xff", b",".join([b"a"] * 51), b'"a"'])
def test_names_that_are_none_are_not_repeated(names: bytes) -> None:
    asked = {**PREFLIGHT, b"access-control-request-headers": names}
    fields = dict(OriginPolicy(None).select_preflight_fields(asked) or ())
    assert b"Access-Control-Allow-Headers" not in fields
