"""The rulebook: the policy that is in force, made anew when a rule file changes.

Facts: ``_headers`` and ``_redirects`` are files of the site, and are edited while it is served.
Decision: what stands at their paths is a resource like any other, watched and compared once a second.
When it ends, so do all answers that were made under its rules, and before the next request is answered
the files are read again.
Consequence: an edit is in the next answer, and each answer is of one version of the rules. A rule is
known by the octets that it was made of, so an edit among 10,000 blocks of headers takes 25 milliseconds,
where to read all takes 400.
Price: an edit ends all answers that are recalled; and while many new rules are read (`Readings`), the
requests for this site wait. Others wait for 27 milliseconds at most, if 10,000 redirects and as many
blocks are read, all of them new. The answers of many resources are not ended one by one, which would
take 300 milliseconds for 100,000. When an answer is looked at, it is found to be of former rules; until
then it takes its place.

A file with a mistake in it does not take the place of one without: its last good rules stay in force.
Where there are none, at the start, the lines that can be read are.
"""

import math
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial

from epollo.annotations import Final, Protocol, TypeAlias
from epollo.http.message import Basis, Later, Releasable, Request, Response
from epollo.loop import Clock
from epollo.site.catalogue import RELEASED_AT_ONCE_LIMIT, RULE_FILE_OCTETS_LIMIT, Catalogue
from epollo.site.policy import Policy
from epollo.site.resolve import RULE_FILES, Kind
from epollo.site.resource import Resource
from epollo.site.rules.headers_file import read_headers
from epollo.site.rules.reading import Readings, Steps
from epollo.site.rules.redirects_file import read_redirects
from epollo.site.rules.rule import HeaderRule, Mistake, Parsed, RedirectRule, Rules

_REPORTED_LIMIT: Final = 20
"""The most mistakes of one file that the operator is told at once."""
_AT_ONCE_SECONDS: Final = 0.004
"""Rules that take longer to read are read in slices."""

Responder: TypeAlias = Callable[[Request], Response | Later]


class InForce(Basis):
    """That a policy is in force: a basis of answers that are made of rules alone.

    Of many answers none is released when it ends: each finds that out when it is looked at.
    ``confirm`` looks at the rule files, and ends this where they have changed.
    """

    __slots__ = ("_answers", "_confirm", "is_current")

    def __init__(self, confirm: Callable[[], None]) -> None:
        self.checked_second = -1
        self.is_current = True
        self._confirm = confirm
        self._answers: weakref.WeakSet[Releasable] = weakref.WeakSet()

    def stands(self, second: int) -> bool:
        """Return whether the policy is in force, compared with the file system once a second."""
        if self.is_current and self.checked_second != second:
            self._confirm()
        if self.is_current:
            self.checked_second = second
        return self.is_current

    def hold(self, answer: Releasable) -> None:
        """Have an answer that is kept release its content when this ends."""
        self._answers.add(answer)

    def end(self) -> None:
        """Be in force no longer."""
        self.is_current = False
        self.checked_second = -1
        answers, self._answers = self._answers, weakref.WeakSet()
        if len(answers) <= RELEASED_AT_ONCE_LIMIT:
            for answer in list(answers):
                answer.release()


class PolicySource(Protocol):
    """Where a site asks for its policy."""

    policy: Policy
    """The policy that is in force, if ``checked_second`` is this second."""
    checked_second: int

    @property
    def is_reading(self) -> bool:
        """Whether other rules are being read: nothing rests on those that are in force."""

    def follow(self) -> None:
        """Bring the policy up to date."""


class FixedPolicy:
    """A policy that is never replaced."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self.policy = policy
        self.checked_second = -1
        self.is_reading = False
        self._clock = clock

    def follow(self) -> None:
        """Bring the policy up to date: it is."""
        self.checked_second = self._clock.second


class Rulebook:
    """The policy of a site; ``make_policy`` makes one of the rules that the site has.

    ``shown`` is the name of the root in messages.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        make_policy: Callable[[Rules], Policy],
        report: Callable[[str], None],
        shown: str,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._make_policy = make_policy
        self._report = report
        self._shown = shown
        self._rules = Rules()
        # By the octets that they were made of.
        self._known_headers: Mapping[bytes, HeaderRule] = {}
        self._known_redirects: Mapping[bytes, RedirectRule] = {}
        self._files: dict[bytes, Resource | None] = dict.fromkeys(RULE_FILES)
        self._contents: dict[bytes, tuple[bytes, str] | None] = dict.fromkeys(RULE_FILES)
        self._unread: dict[bytes, bytes] = {}
        self._steps: Steps[bool] | None = None
        self._waiting: list[Later] = []
        self._waiting_after: list[Later] = []
        self.readings: Readings | None = None
        """What lets long files be read in slices; without it they are read at once."""
        self.checked_second = -1
        """The second in which the policy was found to be that of the files; -1 if it may not be."""
        self.on_change: list[Callable[[Policy], None]] = []
        """Called with the policy that comes into force."""
        self._in_force = InForce(self.follow)
        self.policy = self._put_in_force()
        catalogue.on_rules_doubted = self._doubt
        catalogue.on_look_anew = self.follow
        if catalogue.watch is not None:
            catalogue.watch.on_read = self._on_changes
        self.follow()

    @property
    def is_reading(self) -> bool:
        """Whether other rules are being read: nothing rests on those that are in force."""
        return self._steps is not None

    def read_line(self, name: bytes, line: int) -> str:
        """Return a line of a rule file as it was read last, without the white space around it."""
        content, _ = self._contents[name] or (b"", "")
        return content.split(b"\n")[line - 1].strip().decode("utf-8", "replace")

    def follow(self) -> None:
        """Bring the policy up to date with the rule files, or have it brought in slices."""
        self.checked_second = self._clock.second
        for name in RULE_FILES:
            resource = self._catalogue.find_rule_file((name,))
            if resource is not self._files[name] and resource.kind is not Kind.UNAVAILABLE:
                self._files[name] = resource
                self._take(name, resource)
        if self._steps is not None:
            self._in_force.end()
        elif self._unread:
            self._begin()

    def when_read(self, then: Responder) -> Responder:
        """Return a responder before another one, which answers no request while rules are being read."""

        def respond(request: Request) -> Response | Later:
            if self.checked_second != self._clock.second:
                self.follow()
            if self._steps is not None:
                return Later(self._wait, partial(then, request))
            return then(request)

        return respond

    def read_on(self, seconds: float) -> bool:
        """Read rules for this long; return whether all are read."""
        steps = self._steps
        if steps is None:
            return True
        end = time.perf_counter() + seconds
        is_changed = False
        try:
            while time.perf_counter() < end:
                next(steps)
        except StopIteration as stop:
            is_changed = stop.value
        except BaseException:
            # The former rules stay, and no request waits without end.
            self._conclude(is_changed=False)
            raise
        else:
            return False
        self._conclude(is_changed=is_changed)
        return self._steps is None

    def _begin(self) -> None:
        """Read what is unread: all at once, if that takes not long."""
        self._steps = self._read(self._take_unread())
        if self.readings is None:
            self.read_on(math.inf)
        elif not self.read_on(_AT_ONCE_SECONDS):
            self._end()
            self.readings.add(self)

    def _conclude(self, *, is_changed: bool) -> None:
        """Put the rules in force that are read; then read what has changed meanwhile."""
        self._steps = None
        waiting, self._waiting = self._waiting, self._waiting_after
        self._waiting_after = []
        if is_changed or not self._in_force.is_current:
            self._end()
            self.policy = self._put_in_force()
            for call in self.on_change:
                call(self.policy)
        if self._unread:
            # Requests that came before this change are answered by the rules before it.
            self._steps = self._read(self._take_unread())
            self._end()
        for later in waiting:
            later.finish()

    def _wait(self, later: Later, address: str) -> None:  # noqa: ARG002 - as any result is begun
        """Finish a response when the rules are read that the site had when the request came."""
        if self._steps is None:
            later.finish()
        elif self._unread:
            self._waiting_after.append(later)
        else:
            self._waiting.append(later)

    def _doubt(self) -> None:
        """Give no answer again until it is known whether the rules are the same."""
        self.checked_second = -1
        self._end()
        self._in_force = InForce(self.follow)
        self.policy.basis = self._in_force

    def _end(self) -> None:
        self._in_force.end()
        self._catalogue.end_answers()
        # What was found to stand in this second is looked at again: not all answers are released.
        self._catalogue.deferred_release.on_doubt()

    def _on_changes(self) -> None:
        if self.checked_second < 0:
            self.follow()

    def _put_in_force(self) -> Policy:
        policy = self._make_policy(self._rules)
        self._in_force = InForce(self.follow)
        policy.basis = self._in_force
        return policy

    def _take(self, name: bytes, resource: Resource) -> None:
        """Note what stands at the path of a rule file, to be read if it is other than before."""
        content, reason = _read_content(resource)
        if self._contents[name] == (content, reason):
            return
        self._contents[name] = (content, reason)
        if reason:
            self._unread.pop(name, None)
            self._report(f"{self._shown}/{name.decode()}: {reason}; the rules stay as they were")
        else:
            self._unread[name] = content

    def _take_unread(self) -> dict[bytes, bytes]:
        unread, self._unread = self._unread, {}
        return unread

    def _read(self, unread: Mapping[bytes, bytes]) -> Steps[bool]:
        """Read files, in steps; the outcome is whether the rules are others then."""
        before = self._rules
        for name, content in unread.items():
            place = f"{self._shown}/{name.decode()}"
            rules = self._rules
            # A file that goes away may come back.
            if name == RULE_FILES[0]:
                headers = yield from read_headers(content, self._known_headers)
                self._known_headers = headers.known or self._known_headers
                if self._is_accepted(place, headers, has_rules=bool(rules.headers)):
                    self._rules = rules._replace(headers=headers.rules)
            else:
                redirects = yield from read_redirects(content, self._known_redirects)
                self._known_redirects = redirects.known or self._known_redirects
                if self._is_accepted(place, redirects, has_rules=bool(rules.redirects)):
                    self._rules = rules._replace(redirects=redirects.rules)
            yield
        return self._rules != before

    def _is_accepted(
        self, place: str, parsed: Parsed[HeaderRule] | Parsed[RedirectRule], *, has_rules: bool
    ) -> bool:
        """Tell the operator of the mistakes in a file; return whether its rules come into force."""
        is_kept = has_rules and any(not one.is_left_out for one in parsed.mistakes)
        for line in describe_mistakes(place, parsed.mistakes, is_kept=is_kept):
            self._report(line)
        return not is_kept


def describe_mistakes(place: str, mistakes: tuple[Mistake, ...], *, is_kept: bool) -> list[str]:
    """Return a line for each mistake of a file; ``is_kept`` is whether its former rules stay in force."""
    lines = [
        f"{place}:{one.line}: {one.reason}" + ("" if is_kept else "; this line is left out")
        for one in mistakes[:_REPORTED_LIMIT]
    ]
    if len(mistakes) > _REPORTED_LIMIT:
        lines.append(f"{place}: {len(mistakes) - _REPORTED_LIMIT} more such lines")
    if is_kept:
        lines.append(f"{place}: its former rules stay in force until it has no such line")
    return lines


def _read_content(resource: Resource) -> tuple[bytes, str]:
    """Return what a rule file says, and why it cannot be read; nothing if it is not there."""
    edition = resource.edition
    if edition is not None:
        if edition.identity.content is not None:
            return edition.identity.read(), ""
        return b"", f"it is longer than {RULE_FILE_OCTETS_LIMIT // 1024 // 1024} MiB"
    if resource.kind is Kind.FORBIDDEN:
        return b"", "it cannot be read"
    return b"", ""
