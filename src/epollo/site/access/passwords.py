"""A password file, as htpasswd(1) writes it: a user and a hash on each line."""

from collections.abc import Callable

from epollo.annotations import Final
from epollo.http.message import Basis
from epollo.named_tuples import NamedTuple

FILE_OCTETS_LIMIT: Final = 1024 * 1024
"""A longer file is refused; it would have some 15,000 users."""


class Mistake(NamedTuple):
    """A line that is left out, and why."""

    line: int
    reason: str


def parse_passwords(
    octets: bytes, find_mistake: Callable[[bytes], str]
) -> tuple[dict[bytes, bytes], list[Mistake]]:
    """Return the hash of each user, and the lines that are left out.

    ``find_mistake`` returns what keeps a hash from being used. Empty lines and those that begin with
    ``#`` say nothing; behind a second colon stands what other programs may want.
    """
    users: dict[bytes, bytes] = {}
    mistakes = []
    for number, raw_line in enumerate(octets.split(b"\n"), 1):
        line = raw_line.strip()
        if not line or line.startswith(b"#"):
            continue
        user, colon, rest = line.partition(b":")
        if not colon:
            mistakes.append(Mistake(number, "this line is not a user, a colon and a hash"))
            continue
        hashed = rest.partition(b":")[0]
        reason = find_mistake(hashed)
        if reason:
            mistakes.append(Mistake(number, f"the hash {reason}"))
        elif user in users:
            mistakes.append(
                Mistake(number, "this line repeats a user; the first line with it holds")
            )
        else:
            users[user] = hashed
    return users, mistakes


class Passwords(Basis):
    """One version of a password file, as the basis of the answers that rest on it.

    Any number of answers rest on it. So that its end costs nothing, it does not hold them: it is looked
    at for each.
    """

    __slots__ = ("_confirm", "_confirmed_second", "decoy", "is_current", "users")

    def __init__(
        self, users: dict[bytes, bytes], confirm: Callable[[], bool], second: int = -1
    ) -> None:
        """``confirm`` returns whether the file is still this version, by the file system.

        In this ``second`` (since 1970) it is not asked.
        """
        self.checked_second = -1
        self._confirmed_second = second
        self.users = users
        self.decoy = next(iter(users.values()), b"")
        """A hash to compare with for a user that is not there, so that both take as long."""
        self.is_current = True
        self._confirm = confirm

    def stands(self, second: int) -> bool:
        """Return whether the file is still this version; it is compared once a second."""
        if self.is_current and self._confirmed_second != second:
            self._confirmed_second = second
            if not self._confirm():
                self.is_current = False
        return self.is_current

    def hold(self, answer: object) -> None:
        """Hold nothing: an answer also rests on a resource, which releases its content."""
