"""Answers as octets, in the second in which they are sent."""

from epollo.http.message import ENDED, PERMANENT, Basis
from epollo.protocols.answer import Answer
from epollo.protocols.http1.render import Frames, frame_answer


def make_answer(basis: Basis = PERMANENT, octets: int = 5) -> Answer:
    return Answer(
        200,
        b"Content-Length: %d\r\n" % octets,
        b"\r\n",
        (bytes(octets),),
        persists=True,
        method=b"GET",
        length=octets,
        basis=basis,
    )


def is_kept(answer: Answer) -> bool:
    return answer.framed is not None


def framed(date: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nServer: epollo\r\nDate: %b\r\nContent-Length: 5\r\n\r\n"
    return head % date + bytes(5)


def test_an_answer_is_framed_once_in_a_second_with_its_date() -> None:
    frames, answer = Frames(b"now"), make_answer()
    octets = frames.frame(answer)
    assert octets == framed(b"now")
    assert frames.frame(answer) is octets
    assert is_kept(answer)
    assert answer.uses == 1
    frames.begin(b"later")
    assert not is_kept(answer)
    assert not frames.kept
    assert frames.frame(answer) == framed(b"later")
    assert answer.uses == 2


def test_nothing_is_kept_of_an_answer_that_has_ended() -> None:
    frames, once, ended = Frames(b"now"), make_answer(ENDED), make_answer()
    assert frames.frame(once) == frames.frame(ended) == framed(b"now")
    assert not is_kept(once)
    ended.release()
    assert not is_kept(ended)
    assert frames.kept == [ended]


def test_no_more_is_kept_than_there_is_room_for() -> None:
    frames = Frames(b"now")
    answers = [make_answer(octets=16 * 1024) for _ in range(100)]

    def count_kept() -> int:
        for answer in answers:
            frames.frame(answer)
        return sum(map(is_kept, answers))

    assert 50 < count_kept() < 70
    frames.begin(b"later")
    assert 50 < count_kept() < 70


def test_an_answer_of_another_time_is_not_that_of_this_second() -> None:
    frames, answer = Frames(b"now"), make_answer()
    assert frame_answer(answer, b"then") == framed(b"then")
    assert not is_kept(answer)
    assert frames.frame(answer) == framed(b"now")
    assert frame_answer(answer, b"then") == framed(b"then")
    assert frames.frame(answer) == framed(b"now")
