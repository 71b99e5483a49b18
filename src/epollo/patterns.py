"""Regular expressions that are compiled when they are first used.

Compiling a hundred takes a tenth of the start of a server, and most of them are for what few clients
send. Those that every request needs are compiled by `re` itself.
"""

import re

from epollo.annotations import Any, AnyStr, cast


def compile_late(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what acts as the compiled pattern does.

    What `re.compile` would say of a mistake is raised at the first use: a test compiles all.
    """
    return cast(re.Pattern[AnyStr], _LatePattern(pattern, flags))


class _LatePattern:
    """A pattern whose attributes are looked up in the compiled one when they are first asked for."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self._source = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        # The cache of `re` holds what has been compiled, for the name that is asked for next.
        value = getattr(re.compile(*self._source), name)
        setattr(self, name, value)
        return value
