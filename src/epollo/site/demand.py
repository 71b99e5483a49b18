"""When codings of a version pay, and which.

Facts: a crawl asks once for each page, and a file in use may change a thousand times a second. All
codings of 4 KiB take 0.2 milliseconds made quickly, and seven made as small as can be. Made quickly,
3.5 MB of pages and scripts take 34 milliseconds by zstd, 110 by br and 78 by gzip, and are 1.29, 1.28
and 1.46 MB then.
Decision: a coding is made when it is looked for a second time, after the second in which the file
changed. When the file was used in sixty seconds, all codings are made as small as can be. Only one of
the codings that a client likes best is made, zstd before br before gzip. Another is made when a client
comes that does not take it.
Price: the first two answers are not coded, and the first is not recalled.
"""

from epollo.annotations import Final
from epollo.http.content_coding import IDENTITY, CodingPreference
from epollo.http.message import PERMANENT, Basis, OneSecond
from epollo.site.representation import Edition
from epollo.site.resource import Resource

_QUICKEST_FIRST: Final = (b"zstd", b"br", b"gzip")
"""Any other coding comes after these."""
_ASKED_MINIMUM: Final = 2
_IMPROVED_SECONDS: Final = 60


def select_wanted(preference: CodingPreference) -> bytes | None:
    """Return the coding that is to be there for clients with a preference; None if they like none."""
    weights = dict(preference.weights)
    least = max(weights.pop(IDENTITY, 0), 1)
    most = max(weights.values(), default=0)
    if most < least:
        return None
    return next(coding for coding in (*_QUICKEST_FIRST, *weights) if weights.get(coding) == most)


def is_due(resource: Resource, edition: Edition, second: int) -> bool:
    """Return whether codings are to be made now; to be called each time that they are looked for."""
    resource.asked += 1
    changed_second = edition.version.changed_ns // 1_000_000_000
    return resource.asked >= _ASKED_MINIMUM and changed_second != second


def select_end(resource: Resource, wanted: bytes, second: int) -> Basis | None:
    """Return what else bounds an answer: while it is recalled, no coding is asked for.

    None if it must not be recalled: nothing is kept of what was asked for once.
    """
    if wanted in resource.offered:
        return PERMANENT
    return None if resource.asked < _ASKED_MINIMUM else OneSecond(second)


def is_improvable(resource: Resource) -> bool:
    """Return whether its codings are to be made as small as can be."""
    return bool(resource.improvable) and resource.seconds_used >= _IMPROVED_SECONDS
