"""Rule files read at once; the server reads them in steps."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from epollo.site.rules.headers_file import read_headers
from epollo.site.rules.reading import Steps
from epollo.site.rules.redirects_file import read_redirects
from epollo.site.rules.rule import HeaderRule, Parsed, RedirectRule

Outcome = TypeVar("Outcome")


def parse_headers(
    octets: bytes, known: Mapping[bytes, HeaderRule] = MappingProxyType({})
) -> Parsed[HeaderRule]:
    """Return the rules of ``_headers``, and what is wrong there."""
    return _run(read_headers(octets, known))


def parse_redirects(
    octets: bytes, known: Mapping[bytes, RedirectRule] = MappingProxyType({})
) -> Parsed[RedirectRule]:
    """Return the rules of ``_redirects``, and what is wrong there."""
    return _run(read_redirects(octets, known))


def _run(steps: Steps[Outcome]) -> Outcome:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
