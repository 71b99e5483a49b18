"""A client of ACME beside an authority that answers garbage, slowly, without end, or elsewhere."""

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acme.hostile_authority import Answer, HostileAuthority, answer, answer_json
from epollo.acme import client as client_module
from epollo.acme import exchange
from epollo.acme.client import Challenge
from epollo.acme.credentials import make_key, make_request
from epollo.acme.exchange import AcmeError

JSON = "application/json"


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_EXCHANGE_SECONDS", 1.0)
    monkeypatch.setattr(client_module, "_PATIENCE_SECONDS", 1.0)


def repeat(piece: bytes, seconds: float = 0.0) -> Callable[[], Iterator[bytes]]:
    """Return what sends a piece without end."""

    def send() -> Iterator[bytes]:
        for _ in itertools.count():
            yield piece
            threading.Event().wait(seconds)

    return send


def send_head_then(rest: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    def send() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        yield from rest()

    return send


def obtain(
    authority: HostileAuthority, waits: list[float] | None = None, replaced: str = ""
) -> bytes:
    client = authority.make_client(waits)
    client.register("a@example.org")
    proofs: list[Challenge | None] = []
    request = make_request(["a.test"], make_key())
    return client.obtain(["a.test"], request, ["http-01"], proofs.append, replaced=replaced)


def refuse(folder: Path, path: str, found: Answer | Callable[[], Answer]) -> str:
    """Return what the operator is told where an authority answers this; soon, in one line."""
    begun = time.monotonic()
    with HostileAuthority(folder, {path: found}) as authority:
        with pytest.raises(AcmeError) as refused:
            obtain(authority)
        assert time.monotonic() - begun < 30
    text = str(refused.value)
    assert text.isprintable()
    assert 10 < len(text) <= 400
    return text


def test_an_authority_that_is_good_is_understood(tmp_path: Path) -> None:
    with HostileAuthority(tmp_path, {}) as authority:
        authority.answers["/authorization"] = iter_states(authority.url)
        assert obtain(authority) == b"a certificate"
        assert (
            authority.asked[-2:] == ["/order", "/certificate"]
            or authority.asked[-1] == "/certificate"
        )


def test_a_request_does_not_read_what_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes a twentieth of a second; the context of the client has what it trusts."""

    def read(*_: object) -> None:
        pytest.fail("the authorities of the system were read")

    with HostileAuthority(tmp_path, {}) as authority:
        authority.answers["/authorization"] = iter_states(authority.url)
        monkeypatch.setattr(ssl.SSLContext, "load_default_certs", read)
        assert obtain(authority) == b"a certificate"


def iter_states(url: str) -> Callable[[], Answer]:
    """An authorization that is pending, then valid."""
    challenge = {"type": "http-01", "url": f"{url}/challenge", "token": "t"}
    common = {"identifier": {"value": "a.test"}, "challenges": [challenge]}
    states = iter(["pending", "processing", "valid"])
    return lambda: answer_json({"status": next(states), **common})


@pytest.mark.parametrize(
    "found",
    [
        [],
        [b"garbage\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"],
        answer(b"<html>", Content_Type=JSON),
        answer(b"[" * 200_000, Content_Type=JSON),
        answer(b"1" * 100_000, Content_Type=JSON),
        answer(b"\xff\xfe", Content_Type=JSON),
        answer(b"{}", Content_Type="text/html"),
        answer_json([]),
        answer_json(None),
        answer_json({"newOrder": 5}),
        answer_json({"newNonce": "x", "newAccount": "x"}),
        answer_json({}, status=500),
        answer_json({}, status=301, Location="https://elsewhere.test/dir"),
        answer(b"", status=204),
        answer(b"x" * (1024 * 1024 + 1), Content_Type=JSON),
        [b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 200, b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"],
    ],
    ids=itertools.count(),
)
def test_a_directory_that_is_none_is_one_line(tmp_path: Path, found: Answer) -> None:
    refuse(tmp_path, "/dir", found)


@pytest.mark.parametrize(
    "found",
    [
        repeat(b"H", 0.05),
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
        send_head_then(repeat(b" ", 0.05)),
        send_head_then(repeat(b" " * 10_000, 0.1)),
    ],
    ids=["head", "interim answers", "content", "much content"],
)
def test_an_authority_that_never_comes_to_an_end_is_left(
    tmp_path: Path, found: Callable[[], Answer]
) -> None:
    """Each octet comes in time, and all of them never."""
    assert "in 1 seconds" in refuse(tmp_path, "/dir", found)


def test_content_without_end_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_EXCHANGE_SECONDS", 60.0)
    found = send_head_then(repeat(b" " * 65536))
    assert "more than 1048576 bytes" in refuse(tmp_path, "/dir", found)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/newOrder", []),
        ("/newOrder", {"status": "pending"}),
        ("/newOrder", {"authorizations": 5, "finalize": "x"}),
        ("/newOrder", {"authorizations": [5], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://[::1"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://localhost:99999/"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["http://localhost/"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https:///x"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://localhost:1/\r\nX: y"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://localhost:1/"] * 1000, "finalize": "x"}),
        ("/authorization", None),
        ("/authorization", {"status": "pending"}),
        ("/authorization", {"status": "pending", "identifier": 5, "challenges": []}),
        ("/authorization", {"status": "pending", "identifier": {"value": "a"}, "challenges": []}),
        ("/authorization", {"status": "pending", "identifier": {"value": "a"}, "challenges": [[]]}),
        ("/authorization", {"status": "invalid", "identifier": {"value": "a"}, "challenges": 5}),
        ("/order", {"status": "invalid", "error": "x"}),
        ("/order", {"status": "invalid", "error": {"detail": "\x1b[2J\nno", "subproblems": [5]}}),
        ("/order", {"status": ["processing"]}),
        ("/order", {"status": "valid"}),
        ("/order", {"status": "valid", "certificate": 5}),
        ("/certificate", {"certificate": "x"}),
        ("/newOrder", {"authorizations": ["https://local host/x"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://local\x01host/x"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://\u2100.test/x"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://" + "a" * 70_000 + "/x"], "finalize": "x"}),
        ("/newOrder", {"authorizations": ["https://a@b:c@localhost/x"], "finalize": "x"}),
    ],
)
def test_documents_that_are_none_are_one_line(tmp_path: Path, path: str, document: object) -> None:
    found = answer_json(document)
    with HostileAuthority(tmp_path, {path: found}) as authority:
        if path != "/authorization":
            authority.answers["/authorization"] = answer_json({"status": "valid"})
        with pytest.raises(AcmeError) as refused:
            obtain(authority)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("b.test", "t", "a proof for b.test"),
        ("A.test\r\n", "t", "a proof for A.test"),
        ("a.test", "", "a token that is none"),
        ("a.test", "../../x", "a token that is none"),
        ("a.test", "<script>", "a token that is none"),
        ("a.test", "t" * 100_000, "a token that is none"),
        ("a.test", "t\n", "a token that is none"),
        ("a.test", 5, "not as ACME has it"),
        (["a.test"], "t", "a proof for"),
    ],
)
def test_nothing_is_proven_but_what_was_ordered(
    tmp_path: Path, name: object, token: object, said: str
) -> None:
    """An authority that has code of its own in a token, or wants to be told of another host."""
    challenge = {"type": "http-01", "url": "https://localhost:1/x", "token": token}
    document = {"status": "pending", "identifier": {"value": name}, "challenges": [challenge]}
    found = answer_json(document)
    proofs: list[Challenge | None] = []
    with HostileAuthority(tmp_path, {"/authorization": found}) as authority:
        client = authority.make_client()
        client.register("")
        with pytest.raises(AcmeError, match=said):
            client.obtain(
                ["a.test"], make_request(["a.test"], make_key()), ["http-01"], proofs.append
            )
    assert proofs == [None]


def test_an_order_that_is_never_done_is_left(tmp_path: Path) -> None:
    waits: list[float] = []
    found = answer_json({"status": "processing"}, Retry_After="9" * 4000)
    with HostileAuthority(tmp_path, {"/order": found}) as authority:
        authority.answers["/authorization"] = answer_json({"status": "valid"})
        with pytest.raises(AcmeError, match="did not finish"):
            obtain(authority, waits)
    assert waits
    assert max(waits) <= 10


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ("120", 120, 120),
        ("9" * 4000, 86_400, 86_400),
        ("-5", 0, 0),
        ("soon", 0, 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400, 86_400),
    ],
)
def test_how_long_an_authority_wants_to_be_left_alone_is_bounded(
    tmp_path: Path, retry_after: str, least: float, most: float
) -> None:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}
    found = answer_json(problem, status=429, Retry_After=retry_after)
    with (
        HostileAuthority(tmp_path, {"/newAccount": found}) as authority,
        pytest.raises(AcmeError, match="too many") as refused,
    ):
        obtain(authority)
    assert least <= refused.value.retry_seconds <= most


def test_nonces_are_not_asked_for_without_end(tmp_path: Path) -> None:
    problem = {"type": "urn:ietf:params:acme:error:badNonce"}
    with HostileAuthority(tmp_path, {"/newAccount": answer_json(problem, status=400)}) as authority:
        with pytest.raises(AcmeError, match="refused every nonce"):
            obtain(authority)
        assert len(authority.asked) < 40


def test_the_certificate_of_an_authority_is_verified(tmp_path: Path) -> None:
    with HostileAuthority(tmp_path, {}) as authority:
        authority.trust.load_default_certs()
        (tmp_path / "other").mkdir()
        with HostileAuthority(tmp_path / "other", {}) as other:
            authority.trust = other.trust
            with pytest.raises(AcmeError, match=r"(?i)certificate.verify.failed"):
                authority.make_client()


PROVEN = {"/authorization": answer_json({"status": "valid"})}


def offer_renewals(authority: HostileAuthority) -> None:
    """Let an authority know of renewals (RFC 9773 section 4)."""
    names = ("newNonce", "newAccount", "newOrder", "renewalInfo")
    authority.answers["/dir"] = answer_json({name: f"{authority.url}/{name}" for name in names})


ORDER = {"identifiers": [{"type": "dns", "value": "a.test"}]}


def test_a_renewal_tells_what_it_replaces(tmp_path: Path) -> None:
    """RFC 9773 section 5; to an authority that knows of it alone."""
    with HostileAuthority(tmp_path, {**PROVEN}) as authority:
        obtain(authority, replaced="key.number")
        offer_renewals(authority)
        obtain(authority, replaced="key.number")
        obtain(authority)
    assert authority.orders == [ORDER, {**ORDER, "replaces": "key.number"}, ORDER]


@pytest.mark.parametrize("kind", ["alreadyReplaced", "malformed", "unauthorized"])
def test_what_was_replaced_already_is_no_reason_to_go_without(tmp_path: Path, kind: str) -> None:
    problem = answer_json(
        {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "no"},
        status=409,
    )
    with HostileAuthority(tmp_path, {**PROVEN}) as authority:
        offer_renewals(authority)
        good = authority.answers["/newOrder"]
        assert not callable(good)
        answers = iter([problem, good])
        authority.answers["/newOrder"] = lambda: next(answers)
        assert obtain(authority, replaced="key.number") == b"a certificate"
    assert authority.orders == [{**ORDER, "replaces": "key.number"}, ORDER]


def test_what_else_an_authority_refuses_is_not_asked_for_twice(tmp_path: Path) -> None:
    problem = answer_json(
        {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates"},
        status=429,
    )
    with HostileAuthority(tmp_path, {"/newOrder": problem}) as authority:
        offer_renewals(authority)
        with pytest.raises(AcmeError, match="too many certificates"):
            obtain(authority, replaced="key.number")
    assert len(authority.orders) == 1
