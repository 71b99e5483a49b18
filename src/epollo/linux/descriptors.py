"""How many descriptors a process may have."""

import contextlib
import resource

from epollo.annotations import Final

_USUAL_LIMIT: Final = 1024
"""Where the system does not tell the limit."""
# More than any system gives by itself (fs.nr_open, proc_sys_fs(5)).
_MOST: Final = 1_048_576


def raise_descriptor_limit() -> int:
    """Raise the soft limit of descriptors to the hard one; return what is in force then.

    A shell gives 1,024, for the sake of programs that use select(2) (getrlimit(2)). What is started from
    now on has the same.
    """
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:
        return _USUAL_LIMIT
    limit = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < limit:
        # If that is refused, for instance where fs.nr_open was lowered, the limit stays what it is.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            soft = limit
    return _MOST if soft == resource.RLIM_INFINITY else soft
