import gc
import os
import weakref
from pathlib import Path

import pytest

from connections.in_process import FolderSite, InProcess
from epollo.budget import Budget
from epollo.connections.recall import Recall
from epollo.http.message import ENDED, PERMANENT, AllOf, Basis, Releasable, Request, Response
from epollo.protocols.answer import Answer
from epollo.protocols.http1 import Frames, HeadReader, Limits
from epollo.site.policy import RELEVANT_FIELDS
from loop.hand_clock import HandClock
from properties.answers import read_answers

MEBIBYTE = 1024 * 1024
READER = HeadReader(Limits(), RELEVANT_FIELDS)
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def with_cookie(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nUser-Agent: x\r\nHost: a\r\nCookie: %b\r\n\r\n" % value


def make_answer(
    octets: bytes = b"answer", rest: tuple[bytes, ...] = (), status: int = 200
) -> Answer:
    content = rest or (octets,)
    return Answer(
        status,
        octets,
        b"\r\n",
        content,
        persists=True,
        method=b"GET",
        length=sum(map(len, content)),
        basis=PERMANENT,
    )


def held_octets(recall: Recall) -> int:
    return sum(len(answer.fields) for answer in recall.known.values())


class Made(Basis):
    """What an answer was made of; it stands for ever."""

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        self.checked_second = -1

    def stands(self, second: int) -> bool:  # noqa: ARG002 - as of any basis
        return True


@pytest.mark.parametrize("has_recall", [True, False], ids=["recall", "no recall"])
def test_an_answer_that_is_not_given_again_holds_nothing(has_recall: bool) -> None:
    """The names of a long path take many times its octets, and a second has thousands of answers."""
    made: list[weakref.ref[Made]] = []

    def respond(_: Request) -> Response:
        basis = Made()
        made.append(weakref.ref(basis))
        return Response(200, ((b"Content-Length", b"0"),), basis=basis)

    with InProcess(respond, clock=HandClock(), has_recall=has_recall) as way:
        peer = way.connect()
        for path in (b"/" + b"a/" * 2500, b"/short"):
            peer.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            way.settle(peer)
            peer.send(b"no request\r\n\r\n" if path == b"/short" else b"")
            way.settle(peer)
        gc.collect()
        assert [one() is None for one in made] == [True, not has_recall]
        kept = [answer for answer in way.service.frames.kept if answer.basis is ENDED]
        assert not kept


def test_what_was_kept_is_known_until_it_is_forgotten() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(b"request", answer)
    assert recall.find(b"request") is answer
    assert recall.find(b"other") is None
    recall.clear()
    assert recall.find(b"request") is None


def ask(recall: Recall, octets: bytes) -> Answer | None:
    """Look octets up as a connection does."""
    answer = recall.at_hand.young.get(octets)
    if answer is not None and recall.is_true(answer):
        return answer
    return recall.find_whole(octets, READER)[0]


def with_agent(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nUser-Agent: %b\r\nHost: a\r\n\r\n" % value


def test_exact_octets_get_their_own_entry_when_they_come_again() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for octets in (PLAIN, with_agent(b"a")):
        before = len(recall)
        for count in (0, 1, 1):
            assert ask(recall, octets) is answer
            assert len(recall) == before + count
        assert recall.at_hand.young[octets] is answer


def test_octets_that_come_again_are_known_among_thousands_of_others() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for _ in range(2):
        for number in range(20_000):
            assert ask(recall, with_agent(b"%d" % number)) is answer
    # Two of which the hash says one place have driven each other out.
    assert len(recall.at_hand) > 12_000


def test_octets_with_other_cookies_share_an_entry() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for number in range(100):
        assert ask(recall, with_cookie(b"%d" % number)) is answer
    assert len(recall) == 2
    assert recall.at_hand.get(with_cookie(b"")) is answer


def test_a_blank_cookie_says_nothing_of_octets_that_are_no_valid_head() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for _ in range(3):
        assert ask(recall, with_cookie(b"a")) is answer
    for value in (b"\0", b"a\n", b"a\r", b"a\r\nX", b"a\r\nRange: bytes=0-1", b"a" * 33_000):
        assert ask(recall, with_cookie(value)) is None
    few = with_cookie(b"a")[:-2] + b"X: 1\r\n" * 97
    for _ in range(3):
        assert ask(recall, few + b"\r\n") is answer
        assert ask(recall, few + b"X: 1\r\n\r\n") is None


def test_a_cookie_that_has_a_say_is_never_left_out() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    reader = HeadReader(Limits(), frozenset((b"cookie",)))
    for value, expected in ((b"a", answer), (b"b", make_answer())):
        head = with_cookie(value)
        recall.keep(reader.strip(head), expected)
        for _ in range(3):
            assert recall.find_whole(head, reader)[0] is expected


def test_octets_that_differ_every_time_take_no_room() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for number in range(100_000):
        assert ask(recall, with_agent(b"%d" % number)) is answer
    assert len(recall) == 1
    assert len(recall._marks) == 65_536


def test_octets_that_ask_for_something_else_or_are_no_head_are_not_known() -> None:
    recall, answer = Recall(HandClock()), make_answer()
    recall.keep(PLAIN, answer)
    for octets in (
        *(with_cookie(b"a")[:-2], with_cookie(b"a") + b"X: y\r\n", b"\r\n" + with_cookie(b"a")),
        *(PLAIN * 2, PLAIN + b"\r\n", b"GET"),
        PLAIN[:-2] + b"X: 1\r\n" * 101 + b"\r\n",
        PLAIN[:-2] + b"X: " + b"1" * 32 * 1024 + b"\r\n\r\n",
    ):
        assert recall.find_whole(octets, READER) == (None, b"")
    # What is left of a head may be no valid one: that is judged when it is read.
    for line in (b"Range: bytes=0-1\r\n", b"Cookie: \x00\r\n"):
        octets = PLAIN[:-2] + line + b"Origin: a\r\n\r\n"
        assert recall.find_whole(octets, READER) == (None, PLAIN[:-2] + line + b"\r\n")


def test_long_requests_are_not_kept() -> None:
    recall = Recall(HandClock())
    recall.keep(b"x" * 4097, make_answer())
    assert len(recall) == 0


def test_a_long_part_is_not_kept() -> None:
    """It was cut out of the content, and would be held by its entry alone."""
    recall = Recall(HandClock())
    recall.keep(b"part", make_answer(rest=(bytes(MEBIBYTE),), status=206))
    recall.keep(b"small part", make_answer(status=206))
    recall.keep(b"whole", make_answer(rest=(bytes(MEBIBYTE),)))
    assert recall.find(b"part") is None
    assert recall.find(b"small part") is not None
    assert recall.find(b"whole") is not None


@pytest.mark.parametrize(
    ("status", "fields", "is_own"),
    [
        (200, b"Accept-Ranges: bytes\r\n", False),
        (404, b"", False),
        (200, b"", True),
        (206, b"Accept-Ranges: bytes\r\n", True),
        (301, b"", True),
    ],
)
@pytest.mark.parametrize("octets", [1000, 20_000])
def test_content_is_counted_where_no_representation_has_it(
    status: int, fields: bytes, is_own: bool, octets: int
) -> None:
    budget = Budget(64 * MEBIBYTE)
    recall = Recall(HandClock(), budget)
    answer = make_answer(fields, (bytes(octets),), status)
    assert recall.keep(PLAIN, answer) == (status != 206 or octets == 1000)
    assert (budget.octets > octets) == (is_own and len(recall) == 1)


def test_a_flood_is_bounded_in_octets() -> None:
    budget = Budget(16 * MEBIBYTE)
    recall = Recall(HandClock(), budget)
    for number in range(2000):
        recall.keep(b"request %d" % number, make_answer(bytes(16 * 1024), status=404))
        assert recall.octets == sum(one.kept_octets for one in recall.known.values())
        assert recall.octets == budget.octets
    assert 2.5 * MEBIBYTE < held_octets(recall) <= 3 * MEBIBYTE
    recall.clear()
    assert len(recall) == recall.octets == budget.octets == 0


@pytest.mark.parametrize("lengths", [1, 7, 300])
def test_a_flood_drives_out_nothing_that_is_in_use(lengths: int) -> None:
    """Of answers of one length, and of several."""
    recall, frames = Recall(HandClock(), Budget(4 * MEBIBYTE)), Frames(b"date")
    in_use = [b"used %d" % number for number in range(400)]

    def give(key: bytes, length: int = 500) -> bool:
        answer = recall.find(key)
        is_known = answer is not None
        if answer is None:
            answer = make_answer(bytes(length))
            recall.keep(key, answer)
        frames.begin(b"date")
        assert frames.frame(answer)
        return is_known

    for _ in range(3):
        for key in in_use:
            give(key)
    for number in range(20_000):
        assert not give(b"junk %d" % number, 500 + number * 7919 % lengths)
        assert give(in_use[number % len(in_use)])
    assert len(recall.known) > 400


def test_what_is_asked_for_again_is_not_dropped_with_what_came_beside_it() -> None:
    recall, frames = Recall(HandClock(), Budget(MEBIBYTE)), Frames(b"date")
    for number in range(1000):
        recall.keep(b"before %d" % number, make_answer(bytes(500)))
    for key, uses in ((b"once", 1), (b"again", 2)):
        answer = make_answer(bytes(500))
        recall.keep(key, answer)
        for _ in range(uses):
            frames.begin(b"date")
            assert frames.frame(answer)
    for number in range(100):
        recall.keep(b"beside %d" % number, make_answer(bytes(500)))
    assert recall.find(b"once") is None
    assert recall.find(b"again") is not None


def test_what_is_no_longer_in_use_makes_room() -> None:
    recall, frames = Recall(HandClock(), Budget(4 * MEBIBYTE)), Frames(b"date")
    for turn in range(4):
        for _ in range(4):
            for number in range(500):
                key = b"%d of %d" % (number, turn)
                answer = recall.find(key)
                if answer is None:
                    answer = make_answer(bytes(500))
                    recall.keep(key, answer)
                frames.begin(b"date")
                assert frames.frame(answer)
        assert all(recall.find(b"%d of %d" % (number, turn)) for number in range(500))


def test_an_answer_takes_the_place_of_one_that_has_ended() -> None:
    recall = Recall(HandClock(), Budget(4 * MEBIBYTE))
    for size in (10, 1000, 100):
        for number in range(3):
            answer, basis = make_answer(bytes(size)), Standing()
            answer.basis = basis
            assert recall.keep(b"%d" % number, answer)
            answer.release()
            assert recall.find(b"%d" % number) is None
        assert len(recall.known) == 3
        assert recall.octets == sum(one.kept_octets for one in recall.known.values())
        assert recall._short_octets == recall.octets
    assert len(recall._short) == 3


def test_one_that_would_fill_the_short_queue_is_not_kept() -> None:
    recall = Recall(HandClock(), Budget(4 * MEBIBYTE))
    assert not recall.keep(b"long", make_answer(bytes(MEBIBYTE // 8)))
    assert len(recall) == 0


def test_a_flood_of_what_is_asked_for_again_is_bounded_as_well() -> None:
    recall = Recall(HandClock(), Budget(16 * MEBIBYTE))
    requests = [b"request %d" % number for number in range(1000)]
    for _ in range(5):
        for request in requests:
            if recall.find(request) is None:
                recall.keep(request, make_answer(bytes(16 * 1024)))
        for request in requests:
            recall.find(request)
    assert held_octets(recall) <= 4 * MEBIBYTE


class Standing(Basis):
    """A basis that stands until it is ended by hand."""

    __slots__ = ("held", "is_standing", "looks")

    def __init__(self) -> None:
        self.checked_second = -1
        self.is_standing = True
        self.looks = 0
        self.held: list[Releasable] = []

    def stands(self, second: int) -> bool:
        self.looks += 1
        self.checked_second = second if self.is_standing else -1
        return self.is_standing

    def hold(self, answer: Releasable) -> None:
        self.held.append(answer)


def test_an_answer_is_given_again_while_its_basis_stands() -> None:
    clock, basis, answer = HandClock(), Standing(), make_answer()
    recall = Recall(clock)
    answer.basis = basis
    recall.keep(b"reduced", answer)
    for _ in range(5):
        assert recall.find(b"reduced") is answer
    assert basis.looks == 1
    clock.turn(1)
    clock.read()
    assert recall.find(b"reduced") is answer
    assert basis.looks == 2
    basis.is_standing, basis.checked_second = False, -1
    assert recall.find(b"reduced") is None


def test_after_a_doubt_each_answer_is_looked_at_for_the_rest_of_the_second() -> None:
    clock, answer = HandClock(), make_answer()
    recall, first, second = Recall(clock), Standing(), Standing()
    answer.basis = AllOf(first, second)
    recall.keep(b"reduced", answer)
    assert recall.find(b"reduced") is answer
    assert (first.looks, second.looks) == (1, 1)
    recall.doubt()
    assert recall.find(b"reduced") is answer
    assert (first.looks, second.looks) == (2, 2)
    # Nothing marks the answer, nor what it rests on.
    second.is_standing = False
    recall.doubt()
    first.checked_second = second.checked_second = answer.basis.checked_second = clock.second
    assert recall.find(b"reduced") is None
    clock.turn(1)
    clock.read()
    assert recall.find(b"reduced") is None


def test_a_doubt_that_comes_during_a_look_has_all_looked_at_again() -> None:
    """A look at one part may find that much has ended, other parts among it."""
    clock, answer, first = HandClock(), make_answer(), Standing()
    recall = Recall(clock)

    class Doubting(Standing):
        def stands(self, second: int) -> bool:
            if not self.looks:
                recall.doubt()
                first.is_standing = False
            return super().stands(second)

    answer.basis = AllOf(first, Doubting())
    assert not recall.is_true(answer)


def test_after_a_doubt_a_connection_gives_nothing_without_a_look() -> None:
    basis, answers = Standing(), iter((b"former", b"latter"))

    def respond(_: Request) -> Response:
        content = next(answers)
        fields = ((b"Content-Length", b"%d" % len(content)),)
        return Response(200, fields, (content,), basis=basis)

    with InProcess(respond, clock=HandClock()) as way:
        peer = way.connect()

        def ask_again() -> list[bytes]:
            peer.send(PLAIN)
            way.settle(peer)
            answered = read_answers(bytes(peer.received))
            peer.received.clear()
            return [answer.content for answer in answered]

        assert ask_again() == ask_again() == [b"former"]
        basis.is_standing = False
        assert ask_again() == [b"former"]
        way.service.doubt()
        assert ask_again() == [b"latter"]


def test_a_basis_that_ends_takes_the_content_of_its_answers_along() -> None:
    recall, basis, answer = Recall(HandClock()), Standing(), make_answer(b"", (b"content",))
    answer.basis = basis
    recall.keep(PLAIN, answer)
    for _ in range(3):
        assert ask(recall, with_cookie(b"a")) is answer
    assert basis.held == [answer]
    basis.held[0].release()
    assert answer.content == b""
    assert recall.find(PLAIN) is None
    assert ask(recall, with_cookie(b"a")) is None


def test_an_answer_that_ends_in_the_middle_of_a_turn_is_sent_whole(tmp_path: Path) -> None:
    """A look for changes before the second of two requests ends what the first was answered with."""
    page = tmp_path / "page.txt"
    page.write_bytes(b"old")
    os.utime(page, (7, 7))
    get = b"GET /page.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    clock = HandClock()
    with FolderSite(tmp_path, clock) as site, InProcess(site.respond, clock=clock) as harness:

        def look() -> None:
            page.write_bytes(b"newer")
            os.utime(page, (8, 8))
            assert site.catalogue.watch is not None
            site.catalogue.watch.on_ready(0)

        peer = harness.connect(get)
        harness.settle(peer)
        harness.service.look_for_changes = look
        peer.send(get * 2)
        harness.settle(peer)
        contents = [answer.content for answer in read_answers(bytes(peer.received))]
        assert contents == [b"old", b"old", b"newer"]


def test_an_answer_that_ends_while_it_is_looked_at_is_not_given() -> None:
    """A look at a large file reads events, of which one may end the resource."""
    recall, answer = Recall(HandClock()), make_answer()

    class Ending(Standing):
        def stands(self, second: int) -> bool:
            if self.held:
                self.held[0].release()
            return super().stands(second)

    answer.basis = basis = Ending()
    assert recall.keep(b"reduced", answer)
    basis.checked_second = 0
    assert recall.find(b"reduced") is None


def test_an_answer_whose_basis_has_ended_is_not_kept() -> None:
    recall, answer, basis = Recall(HandClock()), make_answer(), Standing()
    basis.is_standing = False
    answer.basis = basis
    assert not recall.keep(b"reduced", answer)
    assert basis.held == []
    assert answer.content == b"answer"


class Ending(Made):
    """What ends while another answer is made, and then takes the content of its answers along."""

    __slots__ = ("_held", "has_ended")

    def __init__(self) -> None:
        super().__init__()
        self._held: list[Releasable] = []
        self.has_ended = False

    def stands(self, second: int) -> bool:  # noqa: ARG002 - as of any basis
        return not self.has_ended

    def hold(self, answer: Releasable) -> None:
        self._held.append(answer)

    def end(self) -> None:
        self.has_ended = True
        for answer in self._held:
            answer.release()


def test_a_part_is_sent_whole_where_the_look_for_its_whole_ends_it() -> None:
    """A file that grows all the time has changed when the whole is made that the part is cut from."""
    bases: list[Ending] = []

    def respond(request: Request) -> Response:
        for basis in bases:
            basis.end()
        bases.append(Ending())
        is_part = b"range" in request.fields
        content = b"part" if is_part else b"the part"
        fields = ((b"Content-Length", b"%d" % len(content)),)
        return Response(206 if is_part else 200, fields, (content,), basis=bases[-1])

    with InProcess(respond, clock=HandClock()) as way:
        peer = way.connect()
        peer.send(b"GET /grows HTTP/1.1\r\nHost: a\r\nRange: bytes=4-\r\n\r\n")
        way.settle(peer)
        assert len(bases) == 2
        assert bytes(peer.received).startswith(b"HTTP/1.1 206 ")
        assert bytes(peer.received).endswith(b"\r\n\r\npart")


def test_octets_at_hand_are_given_again_while_their_basis_stands() -> None:
    clock = HandClock()
    recall, answer = Recall(clock), make_answer()
    recall.keep(PLAIN, answer)
    assert recall.find_at_hand(with_agent(b"a"), clock.second) is None
    for _ in range(2):
        assert ask(recall, with_agent(b"a")) is answer
    assert recall.find_at_hand(with_agent(b"a"), clock.second) is answer
    assert recall.find_at_hand(with_agent(b"b"), clock.second) is None
    answer.basis = ENDED
    assert recall.find_at_hand(with_agent(b"a"), clock.second) is None
