"""A protected site, in process: what is asked for, verified, remembered and recalled."""

import base64
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connections.in_process import InProcess, Peer
from epollo.connections.addresses import network_of
from epollo.http.message import PERMANENT, Basis, Later, Request, Response
from epollo.loop import Wakeup
from epollo.site.access.guard import Guard
from epollo.site.access.guesses import AT_ONCE, EVERY_SECONDS
from epollo.site.access.password_file import PasswordFile
from epollo.site.access.realm import Realm, parse_prefixes
from epollo.site.access.sources import Sources
from epollo.site.access.verifier import Verifier
from loop.hand_clock import HandClock
from properties.answers import AnswerRead, read_answers


def hash_sha1(password: bytes) -> bytes:
    import hashlib

    return b"{SHA}" + base64.b64encode(hashlib.sha1(password).digest())


class Counted:
    """A site that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.basis: Basis | None = PERMANENT
        self.later: Later | None = None

    def __call__(self, request: Request) -> Response | Later:
        self.asked += 1
        response = Response(
            200,
            ((b"Content-Length", b"6"), (b"Cache-Control", b"public, max-age=9")),
            (b"secret",),
            basis=self.basis,
        )
        if request.target.path != b"/later":
            return response
        self.later = Later(lambda *_: None, lambda: response)
        return self.later


class Protected:
    """A guard before a site, its verifier held up where a test wants that."""

    def __init__(self, folder: Path, prefixes: str = "/", *, has_parent: bool = False) -> None:
        self.path = folder / "passwords"
        self.write(ann=b"open", bob=b"shut")
        self.clock = HandClock()
        self.site = Counted()
        self.asked_parent = 0
        self.compared: list[bytes] = []
        self.may_compare = threading.Event()
        self.may_compare.set()
        self.harness = InProcess(self.respond, clock=self.clock)
        self.harness.service.keeps_addresses = True
        loop = self.harness.loop
        self.wakeup = Wakeup(loop)
        self.verifier = Verifier(
            self.wakeup.call, lambda: self.clock.now, self.harness.reports.append, network_of
        )
        hashes = self.verifier.hashes
        is_password = hashes.is_password

        def compare(password: bytes, hashed: bytes) -> bool | None:
            self.compared.append(password)
            assert self.may_compare.wait(10)
            return is_password(password, hashed)

        hashes.is_password = compare  # type: ignore[method-assign]
        self.file = PasswordFile(
            str(self.path),
            self.clock,
            hashes.find_mistake,
            self.harness.reports.append,
            self.ask_parent if has_parent else None,
        )
        loop.add_first(self.file.descriptor, self.file)
        self.harness.service.look_for_changes = lambda: self.file.on_ready(0)
        self.sources: dict[bytes, Sources] = {}
        self.guard = Guard(
            Realm(parse_prefixes(prefixes)),
            self.file,
            self.verifier,
            self.site,
            lambda request: self.sources.get(request.target.path, Sources((), PERMANENT)),
            refuse=lambda _, response: response,
        )

    def respond(self, request: Request) -> Response | Later:
        return self.guard.respond(request)

    def ask_parent(self) -> None:
        self.asked_parent += 1

    def write(self, **passwords: bytes) -> None:
        lines = [user.encode() + b":" + hash_sha1(word) for user, word in passwords.items()]
        self.path.write_bytes(b"\n".join(lines))

    def close(self) -> None:
        self.may_compare.set()
        self.verifier.close()
        self.file.close()
        with self.harness:
            self.wakeup.close()

    def ask(
        self, credentials: str | None = None, target: str = "/", *, address: str = "192.0.2.1"
    ) -> AnswerRead:
        return self.finish(self.begin(credentials, target, address=address))

    def begin(
        self, credentials: str | None = None, target: str = "/", *, address: str = "192.0.2.1"
    ) -> Peer:
        token = base64.b64encode((credentials or "").encode()).decode()
        line = "" if credentials is None else f"Authorization: Basic {token}\r\n"
        octets = f"GET {target} HTTP/1.1\r\nHost: a\r\n{line}\r\n".encode()
        self.harness.loop.run_batch(0)
        return self.harness.connect(octets, address=address)

    def finish(self, peer: Peer) -> AnswerRead:
        self.turn(lambda: bool(peer.receive() or peer.received))
        (answer,) = read_answers(bytes(peer.received))
        return answer

    def turn(self, is_done: Callable[[], bool]) -> None:
        for _ in range(1000):
            if is_done():
                return
            self.harness.loop.run_batch(0.01)
        raise AssertionError("that does not come")


@pytest.fixture
def protected(tmp_path: Path) -> Iterator[Protected]:
    protected = Protected(tmp_path)
    yield protected
    protected.close()


def test_without_credentials_they_are_asked_for_and_the_site_is_not(protected: Protected) -> None:
    for _ in range(3):
        answer = protected.ask()
        assert answer.status == 401
        assert answer.value(b"www-authenticate") == b'Basic realm="epollo", charset="UTF-8"'
        assert answer.value(b"cache-control") == b"private, no-cache"
    assert protected.ask("no colon") == answer
    assert (protected.site.asked, protected.compared) == (0, [])


def test_a_password_is_compared_once_and_the_answer_is_recalled(protected: Protected) -> None:
    for _ in range(3):
        answer = protected.ask("ann:open")
        assert (answer.status, answer.content) == (200, b"secret")
        assert answer.value(b"cache-control") == b"private, max-age=9"
    assert protected.ask("ann:open", "/other").status == 200
    assert (protected.site.asked, protected.compared) == (2, [b"open"])


def test_a_wrong_password_is_compared_once_too(protected: Protected) -> None:
    for _ in range(3):
        for target in ("/", "/other"):
            answer = protected.ask("ann:shut", target)
            assert (answer.status, answer.content[:15]) == (401, b"<!doctype html>")
            assert answer.value(b"www-authenticate") is not None
    assert (protected.site.asked, protected.compared) == (0, [b"shut"])


def test_a_user_that_is_not_there_takes_as_long_and_is_never_let_in(protected: Protected) -> None:
    # The hash that is compared then is that of ann.
    assert protected.ask("zoe:open").status == 401
    assert protected.ask("zoe:open").status == 401
    assert protected.ask(":open").status == 401
    assert protected.compared == [b"open", b"open"]
    assert protected.ask("ann:open").status == 200


def test_a_file_without_users_lets_none_in(protected: Protected) -> None:
    protected.write()
    assert protected.ask("ann:open").status == 401
    assert protected.ask(":").status == 401
    assert protected.compared == []
    assert not protected.harness.reports


def test_the_next_request_after_a_change_rests_on_it(protected: Protected) -> None:
    assert protected.ask("ann:open").status == 200
    assert protected.ask("bob:shut").status == 200
    protected.write(ann=b"new", bob=b"shut")
    assert protected.ask("ann:open").status == 401
    assert protected.ask("ann:new").status == 200
    # The line of bob is as it was, and is not compared again.
    assert protected.ask("bob:shut").status == 200
    assert protected.compared == [b"open", b"shut", b"open", b"new"]
    # By a rename.
    protected.path.rename(protected.path.with_suffix(".old"))
    assert protected.ask("ann:new").status == 401
    protected.write(ann=b"open")
    assert protected.ask("ann:open").status == 200
    assert protected.ask("ann:new").status == 401


def test_a_file_that_cannot_be_read_lets_none_in_until_it_can(protected: Protected) -> None:
    assert protected.ask("ann:open").status == 200
    kept = protected.path.rename(protected.path.with_suffix(".old"))
    for _ in range(2):
        assert protected.ask("ann:open").status == 401
    (line,) = protected.harness.reports
    assert line.startswith(f"cannot read the password file {protected.path}: No such file")
    # A pipe without a writer is not waited for, and does not pass for a file without users.
    os.mkfifo(protected.path)
    assert protected.ask("ann:open").status == 401
    assert (
        f"cannot read the password file {protected.path}: it is no regular file"
        in protected.harness.reports[-1]
    )
    kept.rename(protected.path)
    assert protected.ask("ann:open").status == 200


def test_a_mistake_in_a_line_leaves_the_others(protected: Protected) -> None:
    protected.path.write_bytes(b"nothing\nann:" + hash_sha1(b"open") + b"\nbob:plain\n")
    assert protected.ask("ann:open").status == 200
    first, second = protected.harness.reports
    assert first == f"{protected.path}:1: this line is not a user, a colon and a hash"
    assert second.startswith(f"{protected.path}:3: the hash is of no kind that epollo knows")


def test_a_link_that_is_switched_is_a_change(protected: Protected, tmp_path: Path) -> None:
    """As the secrets of a cluster are: passwords -> ..data/passwords, ..data -> ..2026."""
    for name, word in (("..1", b"open"), ("..2", b"new")):
        (tmp_path / name).mkdir()
        line = b"ann:" + hash_sha1(word)
        (tmp_path / name / "passwords").write_bytes(line)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "link").symlink_to("..data/passwords")
    (tmp_path / "link").rename(protected.path)
    assert protected.ask("ann:open").status == 200
    (tmp_path / "next").symlink_to("..2")
    (tmp_path / "next").rename(tmp_path / "..data")
    assert protected.ask("ann:open").status == 401
    assert protected.ask("ann:new").status == 200


def test_a_change_that_no_event_tells_of_is_seen_within_a_second(protected: Protected) -> None:
    assert protected.ask("ann:open").status == 200
    assert protected.file._inotify is not None
    for number in protected.file._names:
        protected.file._inotify.rm_watch(number)
    protected.file._names.clear()
    protected.write(ann=b"another")
    protected.clock.turn(1)
    assert protected.ask("ann:open").status == 401


def test_without_inotify_a_change_is_seen_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("epollo.site.access.password_file.INotify", refuse)
    path = tmp_path / "passwords"
    path.write_bytes(b"ann:" + hash_sha1(b"open"))
    clock, reports = HandClock(), list[str]()
    file = PasswordFile(str(path), clock, lambda _: "", reports.append)
    assert file.descriptor < 0
    (line,) = reports
    assert line.startswith("cannot watch the password file (Too many open files); a change")
    file.on_ready(0)
    passwords = file.find()
    assert passwords is not None
    assert passwords.users == {b"ann": hash_sha1(b"open")}
    path.write_bytes(b"ann:" + hash_sha1(b"another"))
    clock.turn(1)
    clock.read()
    passwords = file.find()
    assert passwords is not None
    assert passwords.users == {b"ann": hash_sha1(b"another")}
    file.close()


def test_answers_before_the_first_comparison_wait_for_one(protected: Protected) -> None:
    protected.may_compare.clear()
    peers = [protected.begin("ann:open") for _ in range(AT_ONCE + 5)]
    protected.turn(lambda: protected.compared == [b"open"])
    assert protected.ask().status == 401
    protected.may_compare.set()
    assert [protected.finish(peer).status for peer in peers] == [200] * len(peers)
    assert protected.compared == [b"open"]


def test_guesses_are_slowed_down_by_address(protected: Protected) -> None:
    statuses = [protected.ask(f"ann:{number}").status for number in range(AT_ONCE)]
    assert statuses == [401] * AT_ONCE
    answer = protected.ask("ann:another")
    assert (answer.status, answer.value(b"retry-after")) == (429, b"%d" % EVERY_SECONDS)
    assert answer.value(b"cache-control") == b"private, no-cache"
    # Not even a right one is compared then, or it would be told from wrong ones.
    assert protected.ask("ann:open").status == 429
    assert protected.ask("ann:open", address="192.0.2.2").status == 200
    # What is known is not slowed down.
    assert protected.ask("ann:open").status == 200
    assert protected.ask("ann:0").status == 401
    assert protected.ask("bob:shut").status == 429
    protected.clock.turn(EVERY_SECONDS)
    protected.harness.loop.run_batch(0)
    assert protected.ask("bob:shut").status == 200
    assert len(protected.compared) == AT_ONCE + 2


def test_a_bounded_number_waits_to_be_compared(
    protected: Protected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epollo.site.access.verifier._TASKS_LIMIT", 2)
    protected.may_compare.clear()
    peers = [protected.begin(f"ann:{number}") for number in range(2)]
    answer = protected.ask("ann:open")
    assert (answer.status, answer.value(b"retry-after")) == (429, b"1")
    protected.may_compare.set()
    assert [protected.finish(peer).status for peer in peers] == [401, 401]


def test_what_no_client_waits_for_is_not_compared(protected: Protected) -> None:
    protected.may_compare.clear()
    first, second = protected.begin("ann:0"), protected.begin("ann:open")
    protected.turn(lambda: protected.compared == [b"0"])
    second.socket.close()
    protected.turn(lambda: len(protected.harness.service.peers) == 1)
    protected.may_compare.set()
    assert protected.finish(first).status == 401
    assert protected.ask("ann:1").status == 401
    assert protected.compared == [b"0", b"1"]
    # It was left unknown, and is compared when it is wanted.
    assert protected.ask("ann:open").status == 200


def test_a_fault_in_a_comparison_refuses(protected: Protected) -> None:
    def fail(password: bytes, hashed: bytes) -> bool:
        raise ZeroDivisionError

    protected.verifier.hashes.is_password = fail  # type: ignore[method-assign]
    assert protected.ask("ann:open").status == 401
    assert "ZeroDivisionError" in protected.harness.reports[0]


def test_a_hash_that_the_library_does_not_know_is_told(protected: Protected) -> None:
    protected.path.write_bytes(b"ann:$7$CU..../....salt$" + b"a" * 43)
    protected.verifier.hashes.is_password = lambda *_: None  # type: ignore[method-assign]
    assert protected.ask("ann:open").status == 401
    (line,) = protected.harness.reports
    assert line.startswith("cannot verify a hash $7$C...: the library of this system does not")


def test_an_answer_of_the_site_may_come_later(protected: Protected) -> None:
    peer = protected.begin("ann:open", "/later")
    protected.turn(lambda: protected.site.later is not None)
    assert protected.site.later is not None
    protected.site.later.finish()
    assert protected.finish(peer).value(b"cache-control") == b"private, max-age=9"


def test_a_client_that_leaves_is_told_to_the_site(protected: Protected) -> None:
    peer = protected.begin("ann:open", "/later")
    protected.turn(lambda: protected.site.later is not None)
    peer.socket.close()
    protected.turn(lambda: not protected.harness.service.peers)
    assert protected.site.later is not None
    assert not protected.site.later.is_wanted


def test_prefixes_are_protected_alone(tmp_path: Path) -> None:
    protected = Protected(tmp_path, "/private,/drafts/")
    try:
        assert protected.ask().value(b"cache-control") == b"public, max-age=9"
        for target in ("/private", "/private/x", "/drafts", "/a/../Drafts/x", "/%70rivate"):
            assert protected.ask(None, target).status == 401
            assert (
                protected.ask("ann:open", target).value(b"cache-control") == b"private, max-age=9"
            )
    finally:
        protected.close()


def test_a_path_that_a_rule_leads_to_a_protected_file_is_protected(tmp_path: Path) -> None:
    protected = Protected(tmp_path, "/private")
    try:
        rules = Rules()
        protected.sources[b"/open"] = Sources(((b"open",), (b"Private", b"x")), rules)
        for _ in range(2):
            assert protected.ask(None, "/open").status == 401
            assert protected.ask("ann:shut", "/open").status == 401
            assert protected.ask("ann:open", "/open").status == 200
        # The rules change: neither refusal is given again.
        rules.is_current = False
        protected.sources.clear()
        assert protected.ask(None, "/open").status == 200
        assert protected.ask("ann:shut", "/open").status == 200
    finally:
        protected.close()


class Rules(Basis):
    """Rules that a test ends."""

    def __init__(self) -> None:
        self.checked_second = -1
        self.is_current = True

    def stands(self, second: int) -> bool:  # noqa: ARG002
        return self.is_current

    def hold(self, answer: object) -> None:
        """Is looked at each time."""


def test_a_worker_waits_for_what_its_parent_reads(tmp_path: Path) -> None:
    protected = Protected(tmp_path, has_parent=True)
    try:
        assert protected.ask("ann:open").status == 200
        assert protected.asked_parent == 0
        protected.write(ann=b"new")
        peers = [protected.begin("ann:open"), protected.begin("ann:new"), protected.begin()]
        protected.turn(lambda: protected.asked_parent == 1)
        assert protected.finish(peers[2]).status == 401
        # It changes again before the answer comes, which may be of either.
        former = protected.path.read_bytes()
        protected.write(ann=b"newer")
        protected.file.take(former)
        assert protected.asked_parent == 2
        assert not peers[1].receive()
        protected.file.take(protected.path.read_bytes())
        assert [protected.finish(peer).status for peer in peers[:2]] == [401, 401]
        assert protected.ask("ann:newer").status == 200
        # One that it cannot read lets none in.
        protected.path.unlink()
        peer = protected.begin("ann:newer")
        protected.turn(lambda: protected.asked_parent == 3)
        protected.file.take(None)
        assert protected.finish(peer).status == 401
        assert not protected.harness.reports
    finally:
        protected.close()


def test_what_the_site_does_not_keep_is_not_recalled(protected: Protected) -> None:
    protected.site.basis = None
    for _ in range(3):
        assert protected.ask("ann:open").status == 200
    assert protected.site.asked == 3
    assert protected.compared == [b"open"]
