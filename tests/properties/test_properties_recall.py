"""Recalled or not, every answer is the same, octet for octet, whatever an answer may depend on.

The responder here depends on all that it may: the scheme, the relevant fields, the target, and a state
that a basis stands for. Each step is taken with recall and without it, under clocks that are turned
alike.
"""

import contextlib
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from connections.in_process import InProcess, Peer
from epollo.http.message import PERMANENT, Basis, OneSecond, Releasable, Request, Response
from epollo.protocols.http1.framing import FRAMING_FIELDS
from epollo.transports.contract import PLAIN, Kind
from loop.hand_clock import HandClock

SECURE = Kind(b"https", sends_files=False, scope=b"https")
NAMES = ("cookie", "authorization", "origin", "accept-encoding", "range", "x-any")
TARGETS = ("/state", "/permanent", "/second", "/never", "/moved", "/missing")


class State(Basis):
    """What the answers rest on, until it is changed."""

    __slots__ = ("_held", "is_current", "number")

    def __init__(self, number: int) -> None:
        self.checked_second = -1
        self.number = number
        self.is_current = True
        self._held: list[Releasable] = []

    def stands(self, second: int) -> bool:
        if self.is_current:
            self.checked_second = second
        return self.is_current

    def hold(self, answer: Releasable) -> None:
        self._held.append(answer)

    def end(self) -> None:
        self.is_current = False
        self.checked_second = -1
        for answer in self._held:
            answer.release()


class Responder:
    """Answers with all that it was asked by."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.scheme = b""
        self.state = State(0)
        self.names: set[bytes] = set()
        """The fields that it saw."""
        self.count = 0
        self._never_count = 0

    def respond(self, request: Request) -> Response:
        self.count += 1
        self.names |= request.fields.keys()
        path = request.target.path
        what = self.state.number
        basis: Basis | None = self.state
        if path == b"/permanent":
            what, basis = 0, PERMANENT
        elif path == b"/second":
            what, basis = self.clock.second, OneSecond(self.clock.second)
        elif path == b"/never":
            self._never_count += 1
            what, basis = self._never_count, None
        fields = sorted(request.fields.items())
        content = repr((self.scheme, request.method, request.target, fields, what)).encode()
        status = {b"/moved": 301, b"/missing": 404}.get(path, 200)
        length = (b"Content-Length", b"%d" % len(content))
        return Response(status, (length,), (content,), basis=basis)

    def change(self) -> None:
        former, self.state = self.state, State(self.state.number + 1)
        former.end()


class Side:
    """One of two servers: a loop, a responder, and a connection of each kind."""

    def __init__(
        self, relevant_fields: frozenset[bytes], stack: contextlib.ExitStack, *, has_recall: bool
    ) -> None:
        self.clock = HandClock()
        self.responder = Responder(self.clock)
        self.way = stack.enter_context(
            InProcess(
                self.responder.respond,
                clock=self.clock,
                has_recall=has_recall,
                relevant_fields=relevant_fields,
            )
        )
        self._peers: dict[Kind, Peer] = {}

    def ask(self, kind: Kind, parts: Sequence[bytes]) -> tuple[bytes, bool]:
        """Return what is sent for octets that come in these parts, and whether it was the last."""
        self.responder.scheme = kind.scheme
        peer = self._peers.get(kind)
        if peer is None or peer.is_closed:
            peer = self._peers[kind] = self.way.connect(kind=kind)
        begin = len(peer.received)
        for part in parts:
            peer.send(part)
            self.way.settle(peer)
        return bytes(peer.received[begin:]), peer.is_closed

    def jump(self, seconds: int) -> None:
        self.clock.jump(seconds)
        self.way.loop.run_batch(0)


class Ask(NamedTuple):
    """Some requests, by their numbers, sent together and cut at places (shares of their length)."""

    kind: Kind
    numbers: tuple[int, ...]
    cuts: tuple[float, ...] = ()

    def cut(self, requests: Sequence[bytes]) -> list[bytes]:
        octets = b"".join(requests[number % len(requests)] for number in self.numbers)
        places = [0, *sorted(int(cut * len(octets)) for cut in self.cuts), len(octets)]
        parts = [octets[begin:end] for begin, end in itertools.pairwise(places)]
        return [part for part in parts if part]


def make_request(method: str, target: str, version: str, fields: list[str], last: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.{version}", "Host: host", *fields, last]
    return "".join(f"{line}\r\n" for line in lines if line).encode("latin-1") + b"\r\n"


CHANGE = "change"
Step = Ask | int | str
"""What is done on both sides: a question, a jump of the wall clock by seconds, a change of the state."""

field_lines = st.builds(
    lambda form, name, value: f"{form(name)}: {value}",
    st.sampled_from((str, str.title, str.upper)),
    st.sampled_from(NAMES),
    st.sampled_from(("a", "b", "a, b", "", "\xe4")),
)
all_requests = st.builds(
    make_request,
    st.sampled_from(("GET", "GET", "GET", "HEAD", "OPTIONS", "POST")),
    st.sampled_from(TARGETS),
    st.sampled_from("1110"),
    st.lists(field_lines, max_size=4),
    st.sampled_from(("", "", "", "Connection: close", "Connection: keep-alive")),
)
questions = st.builds(
    Ask,
    st.sampled_from((PLAIN, SECURE)),
    st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
    st.lists(st.floats(0, 1), max_size=2).map(tuple),
)
all_steps = st.lists(
    st.one_of(questions, questions, questions, st.sampled_from((CHANGE, 1, 2, -1, 3600, -3600))),
    min_size=1,
    max_size=25,
)
relevances = st.frozensets(st.sampled_from([name.encode() for name in NAMES]))

COOKIES = [make_request("GET", "/state", "1", [f"Cookie: {value}"], "") for value in ("a", "b")]
# What stands around a cookie gets an entry when it comes again, beside a line that has no say.
AROUND_COOKIES = [
    make_request("GET", "/state", "1", fields, "")
    for fields in (["Cookie: a"], ["X-Any: x", "Cookie: a"], ["X-Any: x", "Cookie: b"])
]
IN_TURN_AROUND = [Ask(PLAIN, (number,)) for number in (0, 1, 1, 1, 2, 2, 2, 1)]
IN_TURN = [Ask(PLAIN, (number,)) for number in (0, 1, 0, 1, 0, 1)]
SCHEMES_IN_TURN = [Ask(kind, (0,)) for kind in (PLAIN, SECURE, PLAIN, SECURE, PLAIN)]
CHANGES = [*IN_TURN, CHANGE, *IN_TURN, 1, *IN_TURN, -1, *IN_TURN]


@given(relevances, st.lists(all_requests, min_size=1, max_size=4), all_steps)
@example(frozenset({b"cookie"}), COOKIES, IN_TURN)
@example(frozenset({b"cookie"}), AROUND_COOKIES, IN_TURN_AROUND)
@example(frozenset({b"cookie", b"origin"}), AROUND_COOKIES, IN_TURN_AROUND)
@example(frozenset(), AROUND_COOKIES, IN_TURN_AROUND)
@example(frozenset(), COOKIES, IN_TURN)
@example(frozenset(), COOKIES, SCHEMES_IN_TURN)
@example(frozenset(), COOKIES, CHANGES)
def test_answers_with_and_without_recall(
    relevant_fields: frozenset[bytes], requests: list[bytes], steps: list[Step]
) -> None:
    with contextlib.ExitStack() as stack:
        sides = [
            Side(relevant_fields, stack, has_recall=has_recall) for has_recall in (True, False)
        ]
        for step in steps:
            if isinstance(step, Ask):
                parts = step.cut(requests)
                recalled, made = [side.ask(step.kind, parts) for side in sides]
                assert recalled == made, parts
            elif isinstance(step, int):
                for side in sides:
                    side.jump(step)
            else:
                for side in sides:
                    side.responder.change()
        for side in sides:
            assert not side.way.reports
            assert side.responder.names <= relevant_fields | FRAMING_FIELDS
        assert sides[0].responder.count <= sides[1].responder.count


def test_what_is_known_is_not_asked_for_again() -> None:
    """So that the property above is one of recall: each scheme asks once, whatever the cookie says."""
    with contextlib.ExitStack() as stack:
        side = Side(frozenset(), stack, has_recall=True)
        for step in [*IN_TURN, *SCHEMES_IN_TURN]:
            side.ask(step.kind, step.cut(COOKIES))
        assert side.responder.count == 2
