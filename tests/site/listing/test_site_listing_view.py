"""What a request asks to see of a folder: the query and Accept, and the links that say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epollo.site.listing.entries import Sort
from epollo.site.listing.view import ALL, Form, View, format_query, parse_view


@pytest.mark.parametrize(
    ("query", "view"),
    [
        (None, View()),
        (b"", View()),
        (b"utm_source=letter&fbclid=1", View()),
        (b"sort=size", View(sort=Sort.SIZE)),
        (b"sort=size&sort=time", View(sort=Sort.SIZE)),
        (b"sort=colour&order=up&page=-1&format=xml", View()),
        (b"sort=time&order=desc&page=3", View(sort=Sort.TIME, is_descending=True, page=3)),
        (b"page=0", View()),
        (b"page=99999999", View()),
        ("page=٣".encode(), View()),
        (b"q=a+b%20c%2Bd&format=json", View(form=Form.JSON, search="a b c+d")),
        (b"q=%ff", View(search="\ufffd")),
        (b"q=%E4%BD%A0", View(search="你")),
        (b"q=++", View()),
    ],
)
def test_queries(query: bytes | None, view: View) -> None:
    assert parse_view(query, b"text/html,*/*;q=0.8") == view


@pytest.mark.parametrize(
    ("query", "accept", "page"),
    [
        (None, None, ALL),
        (b"sort=size", b"*/*", ALL),
        (b"q=a", b"text/plain, */*", ALL),
        (None, b"text/html;q=0, text/plain", ALL),
        (None, b"text/html", 1),
        (None, b"image/png, TEXT/HTML;q=0.1", 1),
        (None, b"application/xhtml+xml", 1),
        (b"page=1", b"*/*", 1),
        (b"page=x", b"*/*", 1),
        (b"page=all", b"text/html", ALL),
        (b"page=all", b"application/json", ALL),
        (b"format=json", b"*/*", 1),
        (None, b"application/json", 1),
    ],
)
def test_a_client_that_does_not_name_html_gets_all_entries(
    query: bytes | None, accept: bytes | None, page: int
) -> None:
    assert parse_view(query, accept).page == page


def test_the_query_goes_before_accept() -> None:
    assert parse_view(b"format=html", b"application/json").form is Form.HTML
    assert parse_view(b"format=json", b"text/html").form is Form.JSON


views = st.builds(
    View,
    form=st.sampled_from(Form),
    sort=st.sampled_from(Sort),
    is_descending=st.booleans(),
    search=st.text(st.characters(codec="utf-8"), max_size=20).map(
        lambda text: " ".join(text.split())
    ),
    page=st.integers(ALL, 9_999_999),
    has_protected=st.just(value=True),
)


@given(views)
def test_a_link_asks_for_the_view_that_it_was_made_of(view: View) -> None:
    reference = format_query(view, view.form)
    assert reference.isascii()
    assert parse_view(reference.removeprefix("?").encode(), b"text/html, application/json") == view


def test_the_folder_itself_is_the_first_view() -> None:
    assert format_query(View()) == "./"


def test_accept_decides_on_the_form_where_the_query_does_not() -> None:
    assert parse_view(None, b"application/json").form is Form.JSON
    assert parse_view(b"format=html", b"application/json").form is Form.HTML
    assert parse_view(None, b"text/html, application/json").form is Form.HTML
