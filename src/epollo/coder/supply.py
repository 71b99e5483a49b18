"""Where coders come from: one is started when the first asks for it, and another when it died.

Decision: it is ended by SIGKILL, for it has nothing to finish, and no parent waits for a long coding. A
coder that dies early, again and again, is done without.
"""

import errno
from collections.abc import Callable

from epollo.annotations import Final, TypeAlias
from epollo.coder.child import CoderProcess
from epollo.errors import explain
from epollo.loop import CallInLoop, EventLoop

_SOUND_SECONDS: Final = 5.0
"""If a coder lived for less, what ended it may end the next one, too."""
_FIRST_DELAY_SECONDS: Final = 1.0
_DEATHS_LIMIT: Final = 4
"""After this number of early deaths in a row, no coder is started any more."""

Take: TypeAlias = Callable[[int | None], None]
"""Is given the descriptor of a socket to a coder, for the taker to close; None if there is none."""


class CoderSupply:
    """The coder of a parent and its children, while there is one.

    ``sandbox`` and ``user`` are as for `confine`; ``report`` tells the operator, in one line. With
    ``call_in_loop`` the loop does not wait until a coder has started.
    """

    def __init__(
        self,
        loop: EventLoop,
        report: Callable[[str], None],
        sandbox: str,
        user: str,
        *,
        call_in_loop: CallInLoop | None = None,
    ) -> None:
        self._loop = loop
        self._report = report
        self._sandbox = sandbox
        self._user = user
        self._call_in_loop = call_in_loop
        self._coder: CoderProcess | None = None
        self._waiting: dict[int, Take] = {}
        self._early_deaths = 0
        self._is_resting = False
        self._is_closed = False

    def ask(self, take: Take, number: int) -> None:
        """Have a socket to the coder given, now or when there is a coder again.

        Each client has a ``number`` of its own, and one socket at most.
        """
        if self._is_closed:
            return
        self._waiting[number] = take
        if not self._is_resting:
            self._give()

    def look(self) -> None:
        """Ask the coder for a sign of life: a client has waited for it."""
        if self._coder is not None:
            self._coder.ask()

    def close(self) -> None:
        """End the coder; nothing more is given."""
        self._is_closed = True
        self._waiting.clear()
        coder, self._coder = self._coder, None
        if coder is not None:
            coder.end()

    def _give(self) -> None:
        """Give each client that waits a socket."""
        self._is_resting = False
        while self._waiting and not self._is_closed:
            number = next(iter(self._waiting))
            if self._early_deaths >= _DEATHS_LIMIT:
                self._waiting.pop(number)(None)
                continue
            try:
                coder = self._coder = self._coder or self._start()
                descriptor = coder.connect(number)
            except (BrokenPipeError, ConnectionResetError):
                # It has ended, and its socket will report that.
                return
            except OSError as error:
                if self._coder is not None and error.errno == errno.EAGAIN:
                    # It has not read of the last clients yet.
                    self._coder.ask()
                    self._wait(_FIRST_DELAY_SECONDS)
                    return
                self._report(f"cannot start a coder: {explain(error)}")
                self._rest()
                return
            self._waiting.pop(number)(descriptor)

    def _start(self) -> CoderProcess:
        return CoderProcess(
            self._loop,
            self._report,
            self._on_end,
            self._sandbox,
            self._user,
            call_in_loop=self._call_in_loop,
        )

    def _on_end(self, lifetime_seconds: float, how: str) -> None:
        """Handle that the coder has ended by itself."""
        self._coder = None
        if self._is_closed:
            return
        if lifetime_seconds >= _SOUND_SECONDS:
            self._early_deaths = 0
        self._report(f"the coder {how}; files are sent as they are until another one codes them")
        self._rest()

    def _rest(self) -> None:
        """Start no other for a while, the longer the more often it died early."""
        self._early_deaths += 1
        if self._early_deaths >= _DEATHS_LIMIT:
            self._report("no coder is started any more; each process codes for itself")
        self._wait(_FIRST_DELAY_SECONDS * 2 ** (self._early_deaths - 1))

    def _wait(self, delay_seconds: float) -> None:
        self._is_resting = True
        self._loop.call_at(self._loop.clock.now + delay_seconds, self._give)
