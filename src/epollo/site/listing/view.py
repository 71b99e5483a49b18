"""What of a folder a request asks to see: its form, its order, a search, a page.

All else in a query means nothing here: a link with the mark of a newsletter shows the folder.
"""

from enum import Enum

from epollo.annotations import Final
from epollo.http.accept import names_html, prefers_json
from epollo.http.form import decode_value, encode_value
from epollo.named_tuples import NamedTuple
from epollo.site.listing.entries import Sort

_PAGE_DIGITS: Final = 7
_SEARCH_CHARACTERS_LIMIT: Final = 200


class Form(Enum):
    """In what form a folder is shown."""

    HTML = "html"
    JSON = "json"


ALL: Final = 0
"""The page that has all entries."""
_ALL_VALUE: Final = "all"


class View(NamedTuple):
    """What of a folder is shown, and how; ``page`` counts from 1, and may be `ALL`.

    ``has_protected`` is whether what needs a password is shown; no query asks for that.
    """

    form: Form = Form.HTML
    sort: Sort = Sort.NAME
    is_descending: bool = False
    search: str = ""
    page: int = 1
    has_protected: bool = True


def parse_view(query: bytes | None, accept: bytes | None) -> View:
    """Return what a request asks to see by its query and its Accept field; both may be absent.

    A value that means nothing is as if it were absent; of two values of one name the first counts. The
    query goes before the field, so that a link shows the same to every client.

    A client that does not accept HTML by name is a program that copies. Only some of these follow the
    links from a page to the next, so it gets all entries unless it asks for a page.
    """
    values: dict[bytes, str] = {}
    for pair in (query or b"").split(b"&"):
        name, _, value = pair.partition(b"=")
        if name in _NAMES and name not in values:
            values[name] = decode_value(value)
    form = _FORMS.get(values.get(b"format", "")) or (
        Form.JSON if accept is not None and prefers_json(accept) else Form.HTML
    )
    return View(
        form,
        _SORTS.get(values.get(b"sort", ""), Sort.NAME),
        values.get(b"order") == "desc",
        " ".join(values.get(b"q", "")[:_SEARCH_CHARACTERS_LIMIT].split()),
        _parse_page(values.get(b"page"), is_copied=form is Form.HTML and not names_html(accept)),
    )


def _parse_page(page: str | None, *, is_copied: bool) -> int:
    if page == _ALL_VALUE or (page is None and is_copied):
        return ALL
    if page and page.isascii() and page.isdigit() and len(page) <= _PAGE_DIGITS:
        return max(1, int(page))
    return 1


def format_query(view: View, form: Form | None = None) -> str:
    """Return the reference from a folder to a view of it; ``form`` is named only where it is given."""
    pairs = []
    if view.search:
        pairs.append(f"q={encode_value(view.search)}")
    if view.sort is not Sort.NAME or view.is_descending:
        pairs.append(f"sort={view.sort.value}")
    if view.is_descending:
        pairs.append("order=desc")
    if view.page == ALL:
        pairs.append(f"page={_ALL_VALUE}")
    elif view.page > 1:
        pairs.append(f"page={view.page}")
    if form is not None:
        pairs.append(f"format={form.value}")
    return "?" + "&".join(pairs) if pairs else "./"


_NAMES: Final = frozenset((b"format", b"sort", b"order", b"q", b"page"))
_FORMS: Final = {form.value: form for form in Form}
_SORTS: Final = {sort.value: sort for sort in Sort}
