"""Lines for a person: one on the terminal for each request; and both kinds of lines at once."""

import time

from epollo.annotations import Final
from epollo.connections.contract import AccessLog
from epollo.loop import EventLoop
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import describe_target
from epollo.terminal import tell

_SHOWN_OCTETS: Final = 200
"""At most this many characters of a target are shown; it may have thousands."""


class TerminalLog:
    """One line on the terminal for each request: method, target, status, octets, milliseconds.

    Their reader may stop for a while (a pager, Ctrl-S): then lines are left out, and counted
    (`make_streams_nonblocking`), so that no client waits for an answer because of them.
    """

    names_peers = False

    def begin(self, loop: EventLoop) -> None:
        """Do without: lines are printed at once."""

    def reopen(self) -> None:
        """Do nothing: a terminal is not rotated."""

    def close(self) -> None:
        """Leave the terminal to others; nothing waits to be printed."""

    def note(
        self,
        peer: str | None,  # noqa: ARG002
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",  # noqa: ARG002
    ) -> None:
        """Print one line; nothing of the request can break out of it."""
        milliseconds = max(0.0, time.monotonic() - begun) * 1000
        tell(
            f"{_show(answer.method)} {_show(describe_target(answer, head))} {answer.status} "
            f"{content_octets} {milliseconds:.1f} ms"
        )


def _show(octets: bytes) -> str:
    shown = "".join(
        chr(octet) if 0x20 < octet < 0x7F else f"\\x{octet:02x}" for octet in octets[:_SHOWN_OCTETS]
    )
    return shown if len(octets) <= _SHOWN_OCTETS else shown + "..."


class TwoLogs:
    """Notes everything in two logs."""

    def __init__(self, one: AccessLog, other: AccessLog) -> None:
        self._logs = (one, other)
        self.names_peers = one.names_peers or other.names_peers

    def note(
        self,
        peer: str | None,
        head: bytes,
        answer: Answer,
        content_octets: int,
        begun: float,
        *,
        subject: str = "",
    ) -> None:
        """Note an answer in both."""
        for log in self._logs:
            log.note(peer, head, answer, content_octets, begun, subject=subject)

    def begin(self, loop: EventLoop) -> None:
        """Write both by this loop from now on."""
        for log in self._logs:
            log.begin(loop)

    def reopen(self) -> None:
        """Continue with other files of the same names, after a rotation."""
        for log in self._logs:
            log.reopen()

    def close(self) -> None:
        """Write everything in both."""
        for log in self._logs:
            log.close()
