"""When codings of a version pay.

Facts: a crawl asks once for each page, and a file in use may change a thousand times a second. All
codings of 4 KiB take 0.2 milliseconds made quickly, and seven made as small as can be.
Decision: codings are made when they are looked for a second time, after the second in which the file
changed; and made better when the file was used in sixty seconds.
Price: the first two answers are not coded, and the first is not recalled.
"""

from typing import Final

from epollo.http.message import PERMANENT, Basis, OneSecond
from epollo.site.representation import Edition
from epollo.site.resource import Resource

_ASKED_MINIMUM: Final = 2
_IMPROVED_SECONDS: Final = 60


def is_due(resource: Resource, edition: Edition, second: int) -> bool:
    """Return whether codings are to be made now; to be called each time that they are looked for."""
    resource.asked += 1
    changed_second = edition.version.changed_ns // 1_000_000_000
    return resource.asked >= _ASKED_MINIMUM and changed_second != second


def select_end(resource: Resource, second: int) -> Basis | None:
    """Return until when besides an answer may be given again: one that is recalled asks for no codings.

    None where it may not: nothing is kept of what was asked for once.
    """
    if resource.is_offered:
        return PERMANENT
    return None if resource.asked < _ASKED_MINIMUM else OneSecond(second)


def is_improvable(resource: Resource) -> bool:
    """Return whether its codings are to be made as small as can be."""
    return bool(resource.improvable) and resource.seconds_used >= _IMPROVED_SECONDS
