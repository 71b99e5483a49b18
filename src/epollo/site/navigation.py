"""Whether a request is a navigation: a person goes to a page, rather than a page loading its parts.

Facts: the router of a single-page app knows paths that no file has, so that the app's page is sent for
them. Sent for a script as well, that page is taken for the script, and kept as such.
Decision: browsers say in Sec-Fetch-Mode what a request is for (W3C Fetch Metadata section 2.2). One that
does not say it wants a page if Accept names HTML and the path has no extension.
"""

from collections.abc import Mapping

from epollo.annotations import Final
from epollo.http.accept import names_html
from epollo.http.relevance import WHOLE_ACCEPT
from epollo.site.resolve import Names

NAVIGATION_FIELDS: Final = b"Sec-Fetch-Mode, Accept"
"""The fields that decide, as Vary names them."""
NAVIGATION_RELEVANT_FIELDS: Final = frozenset((b"sec-fetch-mode", WHOLE_ACCEPT))


def is_navigation(fields: Mapping[bytes, bytes], names: Names) -> bool:
    """Return whether a request with these fields, to a path of names, is a navigation."""
    mode = fields.get(b"sec-fetch-mode")
    if mode is not None:
        return mode.lower() == b"navigate"
    if b"." in names[-1]:
        return False
    return names_html(fields.get(b"accept"))
