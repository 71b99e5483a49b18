"""Verifies passwords in the background, and remembers what came of it.

Facts: a good hash takes as long as many thousand answers. A client sends its password with every request.
Decision: one thread compares. The outcome is remembered by a keyed hash of user, password and stored
hash. So a password is compared once, and its outcome holds for as long as its line stays the same, even
if the file changes.
Consequence: a guess costs the loop a look-up. How many wait at once is bounded, and how many one address
may make.
Price: some 16,384 outcomes are remembered, wrong ones too.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from epollo.annotations import Final
from epollo.errors import describe_fault
from epollo.generations import Generations
from epollo.http.authentication import Credentials
from epollo.http.message import Later
from epollo.linux.threads import lower_priority, start_thread
from epollo.loop import CallInLoop
from epollo.named_tuples import NamedTuple
from epollo.site.access.guesses import Guesses
from epollo.site.access.hashes import Hashes
from epollo.site.access.passwords import Passwords

_OUTCOMES_LIMIT: Final = 8192
_TASKS_LIMIT: Final = 64
"""The most guesses that wait to be compared."""
_UNKNOWN: Final = "the library of this system does not know it; make the hash anew with htpasswd -B"


class Attempt:
    """The comparison that one request waits for; ``wait_seconds`` is why it was not made."""

    __slots__ = ("hashed", "is_user", "key", "password", "wait_seconds")

    def __init__(self, key: bytes, password: bytes, hashed: bytes, *, is_user: bool) -> None:
        self.key = key
        self.password = password
        self.hashed = hashed
        """What is compared; a hash of another user where the file does not have this one."""
        self.is_user = is_user
        self.wait_seconds = 0.0
        """Not 0 where the address guessed too often, or too many wait."""


class _Task(NamedTuple):
    attempt: Attempt
    address: str
    waiting: list[Later]


class Verifier:
    """A thread that compares passwords, started when the first is to be compared.

    ``call_in_loop`` has the loop's thread make a call; ``now`` returns the instant (monotonic, seconds).
    ``network_of`` returns what the address of a client counts as (`Guesses`).
    """

    def __init__(
        self,
        call_in_loop: CallInLoop,
        now: Callable[[], float],
        report: Callable[[str], None],
        network_of: Callable[[str], str | bytes],
    ) -> None:
        self._call_in_loop = call_in_loop
        self._now = now
        self._report = report
        self.hashes = Hashes()
        self._key = os.urandom(32)
        self._guesses = Guesses(network_of)
        self._outcomes: Generations[bytes, bool] = Generations(
            entries_limit=_OUTCOMES_LIMIT, octets_limit=0
        )
        self._under_way: dict[bytes, _Task] = {}
        self._tasks: deque[_Task] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def make_attempt(self, credentials: Credentials, passwords: Passwords) -> Attempt:
        """Return an attempt to be one of the users of a file.

        For a user that is not there, another hash is compared for nothing, so that both take as long.
        """
        user, password = credentials
        hashed = passwords.users.get(user, b"")
        octets = b"%d %d %b%b%b" % (len(user), len(hashed), user, hashed, password)
        key = hashlib.blake2b(octets, key=self._key, digest_size=16).digest()
        return Attempt(key, password, hashed or passwords.decoy, is_user=bool(hashed))

    def find_outcome(self, attempt: Attempt) -> bool | None:
        """Return whether the password was found to be right; None if it was not compared yet."""
        return self._outcomes.get(attempt.key)

    def begin(self, attempt: Attempt, later: Later, address: str) -> None:
        """Have an attempt's password compared, unless the address has to wait."""
        task = self._under_way.get(attempt.key)
        if task is not None:
            task.waiting.append(later)
            return
        now = self._now()
        attempt.wait_seconds = self._guesses.find_wait(address, now)
        if not attempt.wait_seconds and len(self._under_way) >= _TASKS_LIMIT:
            attempt.wait_seconds = 1.0
        if attempt.wait_seconds:
            later.finish()
            return
        self._guesses.note(address, now)
        task = self._under_way[attempt.key] = _Task(attempt, address, [later])
        with self._condition:
            self._tasks.append(task)
            self._condition.notify()
        if self._thread is None:
            self._thread = start_thread(self._work, "verifier")
            if self._thread is None:
                # No room for it now; the client may try again.
                self._tasks.clear()
                attempt.wait_seconds = 1.0
                self._end(task, None)

    def close(self) -> None:
        """Stop after what is being compared; nothing more is handed to the loop."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._condition:
                while not (self._is_closed or self._tasks):
                    self._condition.wait()
                if self._is_closed:
                    return
                task = self._tasks.popleft()
            # What is not wanted any more stays unknown.
            is_wanted = any(later.is_wanted for later in task.waiting)
            outcome = self._compare(task.attempt) if is_wanted else None
            if not self._is_closed:
                self._call_in_loop(partial(self._end, task, outcome))

    def _compare(self, attempt: Attempt) -> bool:
        if not attempt.hashed:
            # The file has no users.
            return False
        try:
            outcome = self.hashes.is_password(attempt.password, attempt.hashed)
        except Exception as fault:
            self._call_in_loop(partial(self._report, describe_fault(fault)))
            return False
        if outcome is None:
            kind = attempt.hashed[:4].decode(errors="backslashreplace")
            self._call_in_loop(partial(self._report, f"cannot verify a hash {kind}...: {_UNKNOWN}"))
        return bool(outcome) and attempt.is_user

    def _end(self, task: _Task, outcome: bool | None) -> None:
        """Remember an outcome, and tell those that wait for it."""
        attempt = task.attempt
        del self._under_way[attempt.key]
        if outcome:
            self._guesses.take_back(task.address)
        if outcome is not None:
            self._outcomes.put(attempt.key, outcome)
        for later in task.waiting:
            later.finish()
