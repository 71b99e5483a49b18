"""What an exchange with an authority is made of: where it goes, and when the next one may be made."""

import http.client
import time

import pytest

from epollo.acme.exchange import AcmeError, Reply, split_url
from epollo.http.dates import format_date


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://ca.example/dir", ("ca.example", 443, "/dir")),
        ("https://ca.example:14000/a?b=c", ("ca.example", 14000, "/a?b=c")),
        ("https://[2001:db8::1]:1", ("2001:db8::1", 1, "/")),
    ],
)
def test_where_a_url_leads(url: str, parts: tuple[str, int, str]) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://ca.example/dir", "not reached by https"),
        ("https:///dir", "not reached by https"),
        ("https://ca.example:port/", "no URL"),
        ("https://[::1/", "no URL"),
        ("", "not reached by https"),
    ],
)
def test_what_is_no_url_of_an_authority_is_said(url: str, words: str) -> None:
    with pytest.raises(AcmeError, match=words):
        split_url(url)


def read_retry(value: str | None) -> float:
    headers = http.client.HTTPMessage()
    if value is not None:
        headers["Retry-After"] = value
    return Reply(429, headers, None).read_retry()


def test_seconds_until_the_next_request() -> None:
    assert read_retry(None) == read_retry("soon") == read_retry("-5") == 0
    assert read_retry(" 120 ") == 120
    assert read_retry("9" * 5000) == 999_999_999
    now = int(time.time())
    assert read_retry(format_date(now - 100).decode()) == 0
    assert 0 < read_retry(format_date(now + 1000).decode()) <= 1000
