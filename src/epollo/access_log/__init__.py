"""The access log for programs: a line for each request, written in batches.

`formats` makes lines, `destination` is where they go, `batches` joins both to the loop, and `choice`
is what the settings ask for.
"""

from epollo.access_log.batches import BatchedLog
from epollo.access_log.choice import find_hindrance, open_log
from epollo.access_log.destination import (
    STDOUT,
    Destination,
    check_destination,
    open_destination,
)

__all__ = [
    "STDOUT",
    "BatchedLog",
    "Destination",
    "check_destination",
    "find_hindrance",
    "open_destination",
    "open_log",
]
