"""What a client would rather have, by its field Accept."""

import pytest

from epollo.http.accept import names_html, prefers_json


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        (b"application/json", True),
        (b"APPLICATION/JSON", True),
        (b"application/json, text/plain, */*", True),
        (b"application/json;q=0.5, text/html", False),
        (b"text/html, application/json", False),
        (b"text/html;q=0.2, application/json;q=0.3", True),
        (b"application/json;q=0, */*", False),
        (b"application/json;q=x", False),
        (b"application/*, text/html;q=0.9", True),
        (b"*/*", False),
        (b"application/ld+json", False),
        (b"", False),
    ],
)
def test_json_rather_than_html(accept: bytes, is_json: bool) -> None:
    assert prefers_json(accept) is is_json


@pytest.mark.parametrize(
    ("accept", "is_named"),
    [
        (b"text/html", True),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"TEXT/HTML;level=1 ; q=0.1", True),
        (b"application/xhtml+xml", True),
        (b"text/html;q=0, */*", False),
        (b"text/html;q=0.000", False),
        (b"text/*", False),
        (b"*/*", False),
        (b"text/htmlx", False),
        (b"", False),
        (None, False),
    ],
)
def test_html_is_named(accept: bytes | None, is_named: bool) -> None:
    assert names_html(accept) is is_named
