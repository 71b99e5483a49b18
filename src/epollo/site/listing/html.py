"""HTML that is escaped by construction: a pattern escapes whatever is put into it but HTML.

Fact: a template engine is 60 milliseconds of imports and compiling, and reads files that a worker which
is confined may not read.
Decision: a pattern is a text with named places. What fills a place is escaped for text and for attributes
in quotation marks alike, and only a pattern makes HTML.
"""

import re

from epollo.annotations import Final

_SPECIAL: Final = re.compile("[&<>\"']")


class Html(str):
    """Text that is HTML already, made by a `Pattern`."""

    __slots__ = ()


def escape(text: str) -> str:
    """Return text as it stands in an element, or in an attribute in quotation marks.

    As `html.escape`, whose module also loads the names of 2,231 characters.
    """
    if _SPECIAL.search(text) is None:
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;")


class Pattern:
    """A piece of a page with places, ``{name}``; an attribute with a place stands in quotation marks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        # A line end between two elements would only be sent.
        self._text = re.sub(r"\n[ ]*(?=[<{]|$)", "", re.sub(r"\n[ ]+(?![<{ ])", " ", text))

    def fill(self, **values: str | Html) -> Html:
        """Return the piece with these values in its places; raises `KeyError` if one is missing."""
        return Html(
            self._text.format(
                **{
                    name: value if isinstance(value, Html) else escape(value)
                    for name, value in values.items()
                }
            )
        )


def join(pieces: "list[Html] | tuple[Html, ...]") -> Html:
    """Return pieces one after the other."""
    return Html("".join(pieces))
