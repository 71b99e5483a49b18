"""A strict reader of answers: h11 as the client."""

from functools import lru_cache
from typing import NamedTuple

import h11


class AnswerRead(NamedTuple):
    """One answer; ``fields`` have lower-case names and are without Date."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes
    is_last: bool

    def value(self, name: bytes) -> bytes | None:
        """Return the value of a field that may come once, None where it is missing."""
        values = [value for known, value in self.fields if known == name.lower()]
        assert len(values) <= 1, self
        return values[0] if values else None


@lru_cache(maxsize=65536)
def read_answers(octets: bytes, methods: tuple[str, ...] = ()) -> tuple[AnswerRead, ...]:
    """Return the answers to requests with these methods; GET where there are more answers.

    Raises `AssertionError` or `h11.RemoteProtocolError` for octets that are not whole answers.
    """
    answers: list[AnswerRead] = []
    while octets:
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        answer, octets = _read_answer(octets, method)
        answers.append(answer)
        assert not (answer.is_last and octets), "octets behind the last answer"
    return tuple(answers)


def _read_answer(octets: bytes, method: str) -> tuple[AnswerRead, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "client")]))
    client.send(h11.EndOfMessage())
    client.receive_data(octets)
    head = client.next_event()
    assert isinstance(head, h11.Response), head
    assert head.http_version == b"1.1"
    fields = tuple((bytes(name), bytes(value)) for name, value in head.headers)
    names = [name for name, _ in fields]
    assert names.count(b"date") == 1
    assert names.count(b"content-length") == (head.status_code not in {204, 304})
    assert b"transfer-encoding" not in names
    content = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
        content += bytes(event.data)
    is_last = (b"connection", b"close") in fields
    rest, _ = client.trailing_data
    without_date = tuple(field for field in fields if field[0] != b"date")
    return AnswerRead(head.status_code, without_date, content, is_last), bytes(rest)
