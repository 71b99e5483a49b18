"""Clients of all sorts for a soak, each of which checks every answer against what it could have been."""

import gzip
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from doors import Door
from malformed import MALFORMED
from shelf import Shelf

_RECEIVE_OCTETS: Final = 256 * 1024


class WrongAnswerError(Exception):
    """An answer, or the lack of one, that nothing on the shelf explains."""


class EndedError(Exception):
    """The server closed the connection between two answers."""


@dataclass(frozen=True)
class Question:
    """A request, and how its answer is to be read.

    ``known`` is the version that the client has, or None, and what it told the server about it is
    among the octets. ``ranges`` are first and last octets, both included.
    """

    kind: str
    name: str
    octets: bytes
    method: str = "GET"
    known: int | None = None
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass
class Answer:
    """An answer as it came; field names are in lower case."""

    status: int
    fields: dict[str, str]
    content: bytes


@dataclass
class Count:
    """What one client saw."""

    answers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    asked_again: int = 0
    aborted: int = 0
    wrong: list[str] = field(default_factory=list)


class Client:
    """One client and the connection that it keeps."""

    def __init__(self, door: Door, shelf: Shelf, large: str, seed: int) -> None:
        self.count = Count()
        self._door = door
        self._shelf = shelf
        self._large = large
        self._small = [name for name in shelf.names if name != large]
        self._lasting = [name for name in self._small if not name.startswith("fleeting")]
        self._chance = random.Random(seed)
        self._peer: socket.socket | None = None
        self._received = b""
        self._is_within_answer = False
        self._tags: dict[str, tuple[str, int]] = {}

    def run(self, end: threading.Event, pause_seconds: float) -> None:
        """Do one thing after the other until the end."""
        deeds = [
            (30, self._ask_one_after_the_other),
            (25, self._ask_many_at_once),
            (20, self._ask_on_new_connections),
            (10, self._ask_right_after_a_change),
            (3, self._take_large_content),
            (3, self._go_away_in_the_middle),
            (3, self._send_what_is_malformed),
            (2, self._say_half_of_a_request),
        ]
        weights = [weight for weight, _ in deeds]
        try:
            while not end.wait(pause_seconds):
                ((_, deed),) = self._chance.choices(deeds, weights)
                try:
                    deed()
                except (WrongAnswerError, OSError) as error:
                    self._say(deed.__name__, error)
                    self._hang_up()
        finally:
            self._hang_up()

    def ask_for_all(self) -> None:
        """Ask for every file a few times, and hang up."""
        for _ in range(4):
            self._ask_and_leave("asking for all", map(self._ask_plainly, self._shelf.names))

    def ask_for_codings(self) -> None:
        """Ask for every file with a coding, and hang up."""
        self._ask_and_leave("asking for codings", map(self._ask_compressed, self._lasting))

    def _ask_and_leave(self, deed: str, questions: Iterable[Question]) -> None:
        try:
            self._exchange([*questions])
        except (WrongAnswerError, OSError) as error:
            self._say(deed, error)
        self._hang_up()

    def _say(self, deed: str, error: Exception) -> None:
        text = str(error) if isinstance(error, WrongAnswerError) else repr(error)
        self.count.wrong.append(f"{self._door.kind}, {deed.strip('_')}: {text}")

    def _ask_one_after_the_other(self) -> None:
        for _ in range(self._chance.randint(1, 12)):
            self._exchange([self._choose_question()])

    def _ask_many_at_once(self) -> None:
        self._exchange([self._choose_question() for _ in range(self._chance.randint(2, 24))])

    def _ask_on_new_connections(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            self._hang_up()
            self._exchange([self._choose_question()])

    def _ask_right_after_a_change(self) -> None:
        """Connect, change a file, ask: the server knows of the connection before the change."""
        name = self._chance.choice(self._lasting)
        self._hang_up()
        self._shelf.replace(name, self._keep_connection)
        self._exchange([Question("changed", name, _format("GET", name))])

    def _keep_connection(self) -> None:
        self._peer = self._connect()

    def _take_large_content(self) -> None:
        self._exchange([self._ask_plainly(self._large), self._ask_in_part(self._large)])

    def _go_away_in_the_middle(self) -> None:
        with self._connect() as peer:
            peer.sendall(self._ask_plainly(self._large).octets)
            for _ in range(self._chance.randint(0, 6)):
                peer.recv(_RECEIVE_OCTETS)
            if self._chance.random() < 0.5:
                # A reset instead of an orderly end (socket(7), SO_LINGER).
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.count.aborted += 1

    def _send_what_is_malformed(self) -> None:
        octets = self._chance.choice(MALFORMED)
        with self._connect() as peer:
            peer.sendall(octets)
            received = b""
            while part := peer.recv(_RECEIVE_OCTETS):
                received += part
        if not re.match(rb"HTTP/1\.1 (4|5)\d\d ", received):
            raise WrongAnswerError(f"{octets[:60]!r} was answered {received[:60]!r}")
        self._note("malformed", int(received[9:12]))

    def _say_half_of_a_request(self) -> None:
        octets = self._choose_question().octets
        with self._connect() as peer:
            peer.sendall(octets[: self._chance.randrange(len(octets))])
        self.count.aborted += 1

    def _choose_question(self) -> Question:
        name = self._chance.choice(self._small)
        make = self._chance.choice(
            (
                self._ask_plainly,
                self._ask_plainly,
                self._ask_as_a_browser,
                self._ask_for_the_head,
                self._ask_whether_it_changed,
                self._ask_compressed,
                self._ask_in_part,
                self._ask_for_parts,
                self._ask_to_go_on,
                self._ask_for_what_never_was,
            )
        )
        return make(name)

    def _ask_plainly(self, name: str) -> Question:
        return Question("plain", name, _format("GET", name))

    def _ask_as_a_browser(self, name: str) -> Question:
        cookie = f"session={self._chance.getrandbits(64):x}"
        more = ("User-Agent: soak", "Accept: */*", f"Cookie: {cookie}")
        return Question("browser", name, _format("GET", f"{name}?v={cookie[-1]}", *more))

    def _ask_for_the_head(self, name: str) -> Question:
        return Question("head", name, _format("HEAD", name), method="HEAD")

    def _ask_whether_it_changed(self, name: str) -> Question:
        if name not in self._tags:
            return self._ask_plainly(name)
        tag, number = self._tags[name]
        octets = _format("GET", name, f"If-None-Match: {tag}")
        return Question("conditional", name, octets, known=number)

    def _ask_compressed(self, name: str) -> Question:
        return Question("compressed", name, _format("GET", name, "Accept-Encoding: gzip;q=1"))

    def _ask_in_part(self, name: str) -> Question:
        first = self._chance.randrange(2000)
        last = first + self._chance.randrange(1000)
        return Question(
            "range", name, _format("GET", name, f"Range: bytes={first}-{last}"),
            ranges=((first, last),),
        )  # fmt: skip

    def _ask_for_parts(self, name: str) -> Question:
        first = self._chance.randrange(2, 1000)
        ranges = ((0, 0), (first, first + 9), (first + 500, first + 700))
        value = ",".join(f"{first}-{last}" for first, last in ranges)
        return Question("parts", name, _format("GET", name, f"Range: bytes={value}"), ranges=ranges)

    def _ask_to_go_on(self, name: str) -> Question:
        if name not in self._tags:
            return self._ask_plainly(name)
        tag, number = self._tags[name]
        octets = _format("GET", name, "Range: bytes=100-199", f"If-Range: {tag}")
        return Question("if-range", name, octets, known=number, ranges=((100, 199),))

    def _ask_for_what_never_was(self, _name: str) -> Question:
        target = self._chance.choice(("never.html", "%2e%2e%2fshelf", ".hidden", "a%00b", "%zz"))
        return Question("missing", "", _format("GET", target))

    def _connect(self) -> socket.socket:
        return self._door.connect()

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None
        self._received = b""
        self._is_within_answer = False

    def _exchange(self, questions: list[Question]) -> None:
        """Send questions together and check their answers.

        A server may end a connection after any answer, and a client then asks anew what was not
        answered (RFC 9112 section 9.3.1); but a new connection answers at least once.
        """
        while questions:
            is_new = self._peer is None
            if self._peer is None:
                self._peer = self._connect()
            sent = time.monotonic()
            wall_sent = time.time()
            answered = 0
            try:
                self._peer.sendall(b"".join(question.octets for question in questions))
                for question in questions:
                    answer = self._receive(question.method)
                    answered += 1
                    self._check(question, answer, sent, wall_sent)
                    if answer.fields.get("connection") == "close":
                        raise EndedError
            except (EndedError, ConnectionError) as error:
                is_cut = self._is_within_answer and isinstance(error, ConnectionError)
                self._hang_up()
                if is_cut:
                    raise WrongAnswerError("cut within an answer") from None
                if is_new and not answered:
                    raise WrongAnswerError(
                        "a new connection was closed without an answer"
                    ) from None
                self.count.asked_again += bool(questions[answered:])
            questions = questions[answered:]

    def _receive(self, method: str) -> Answer:
        assert self._peer is not None
        self._is_within_answer = bool(self._received)
        while b"\r\n\r\n" not in self._received:
            self._receive_more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]+", status_line)
        if found is None:
            raise WrongAnswerError(f"no status line: {status_line[:80]!r}")
        status = int(found[1])
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0
        if method != "HEAD" and status not in {204, 304}:
            length = int(fields["content-length"])
        parts = [self._received]
        missing = length - len(self._received)
        while missing > 0:
            part = self._peer.recv(min(missing, _RECEIVE_OCTETS))
            if not part:
                raise WrongAnswerError(f"{missing} of {length} octets of content are missing")
            parts.append(part)
            missing -= len(part)
        octets = b"".join(parts)
        self._received = octets[length:]
        self._is_within_answer = False
        return Answer(status, fields, octets[:length])

    def _receive_more(self) -> None:
        assert self._peer is not None
        part = self._peer.recv(_RECEIVE_OCTETS)
        if not part:
            if self._is_within_answer:
                raise WrongAnswerError("closed within a head")
            raise EndedError
        self._received += part
        self._is_within_answer = True

    def _note(self, kind: str, status: int) -> None:
        self.count.answers[kind] += 1
        self.count.statuses[status] += 1

    def _check(self, question: Question, answer: Answer, sent: float, wall_sent: float) -> None:
        self._note(question.kind, answer.status)
        if not _is_of_this_time(answer.fields["date"], wall_sent):
            raise WrongAnswerError(f"Date is {answer.fields['date']}")
        if question.kind == "missing":
            if answer.status not in {400, 404}:
                raise WrongAnswerError(f"{answer.status} to {question.octets[:40]!r}")
            return
        versions = self._shelf.possible(question.name, sent, time.monotonic())
        if answer.status == 404 and None in versions:
            return
        numbers = [number for number in versions if number is not None]
        if not any(self._is_answer_of(number, question, answer) for number in numbers):
            raise WrongAnswerError(
                f"{question.kind} of {question.name}: {answer.status} {answer.fields} "
                f"{answer.content[:60]!r}, but versions {sorted(map(str, versions))} were possible"
            )
        if question.known is not None and versions == {question.known}:
            expected = 304 if question.kind == "conditional" else 206
            if answer.status != expected:
                raise WrongAnswerError(f"{answer.status} for a version that the client has")

    def _is_answer_of(self, number: int, question: Question, answer: Answer) -> bool:
        """Return whether this is what the server must say while this version is the current one."""
        whole = self._shelf.content(question.name, number)
        fields = answer.fields
        if answer.status == 304:
            return question.kind == "conditional" and number == question.known
        if answer.status == 206:
            if question.kind == "if-range" and number != question.known:
                return False
            return _is_in_part(question.ranges, whole, answer)
        if answer.status != 200:
            return False
        if question.method == "HEAD":
            return int(fields["content-length"]) == len(whole)
        if question.kind in {"range", "parts"}:
            return False
        content = answer.content
        if fields.get("content-encoding") == "gzip":
            return question.kind == "compressed" and gzip.decompress(content) == whole
        if content != whole:
            return False
        self._tags[question.name] = (fields["etag"], number)
        return True


def _format(method: str, target: str, *lines: str) -> bytes:
    fields = "".join(f"{line}\r\n" for line in lines)
    return f"{method} /{target} HTTP/1.1\r\nHost: soak\r\n{fields}\r\n".encode()


def _is_of_this_time(date: str, wall_sent: float) -> bool:
    """Return whether a Date lies between the request and now."""
    seconds = range(int(wall_sent) - 1, int(time.time()) + 1)
    return date in {formatdate(second, usegmt=True) for second in seconds}


def _is_in_part(ranges: tuple[tuple[int, int], ...], whole: bytes, answer: Answer) -> bool:
    if len(ranges) == 1:
        ((first, last),) = ranges
        last = min(last, len(whole) - 1)
        said = f"bytes {first}-{last}/{len(whole)}"
        return answer.fields["content-range"] == said and answer.content == whole[first : last + 1]
    boundary = answer.fields["content-type"].partition("boundary=")[2].encode()
    expected = b""
    for first, last in ranges:
        pattern = rb"\r\n--%b\r\nContent-Type: [^\r]+\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
        found = re.match(
            pattern % (boundary, first, last, len(whole)), answer.content[len(expected) :]
        )
        if found is None:
            return False
        expected += found[0] + whole[first : last + 1]
    return answer.content == expected + b"\r\n--%b--\r\n" % boundary
