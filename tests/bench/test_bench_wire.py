import gzip
import io

import pytest

from wire import Answer, WrongAnswerError, check_answer, format_request, read_answer

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
)


def read(octets: bytes) -> Answer:
    return read_answer(io.BytesIO(octets))


def test_a_request_has_its_fields_in_order() -> None:
    octets = format_request("/a", (("Host", "h"), ("Accept", "*/*")))
    assert octets == b"GET /a HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "status", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 304, b""),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end"),
        (CHUNKED, 200, b"abc0123456789"),
    ],
)
def test_an_answer_is_read_whole(octets: bytes, status: int, content: bytes) -> None:
    answer = read(octets)
    assert (answer.status, answer.content, answer.octets) == (status, content, len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
def test_what_is_no_whole_answer_is_wrong(octets: bytes) -> None:
    with pytest.raises(WrongAnswerError):
        read(octets)


def test_answers_that_follow_each_other_are_read_one_by_one() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
    stream = io.BytesIO(one + b"a" + one + b"b")
    assert [read_answer(stream).content, read_answer(stream).content] == [b"a", b"b"]


def test_a_compressed_answer_is_compared_decoded() -> None:
    content = gzip.compress(b"text")
    answer = Answer(200, {"content-encoding": "gzip"}, content, 100)
    assert check_answer(answer, 200, b"text", "gzip") is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, {}, b"text", 50), "status 404"),
        (Answer(200, {"content-encoding": "br"}, b"text", 50), "coding br"),
        (Answer(200, {}, b"tex", 50), "3 octets"),
        (Answer(200, {}, b"test", 50), "another"),
    ],
)
def test_a_wrong_answer_is_refused(answer: Answer, said: str) -> None:
    with pytest.raises(WrongAnswerError, match=said):
        check_answer(answer, 200, b"text", "")
