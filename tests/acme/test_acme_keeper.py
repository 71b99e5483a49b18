"""What keeps a certificate valid, beside authorities and servers that make it hasty."""

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acme.hostile_authority import HostileAuthority
from certificates import Authority, make_certificate
from epollo.acme import keeper as module
from epollo.acme.client import Challenge, Client
from epollo.acme.credentials import identify, load_key, make_key
from epollo.acme.exchange import AcmeError, Cancellation
from epollo.acme.keeper import AcmeSettings, Keeper, select_acme
from epollo.settings import Settings
from epollo.transports.pairs import Pair
from server.workers import await_true

SETTINGS = AcmeSettings(
    "a@example.org", ("a.test",), "https://localhost:1/dir", "", "", ("http-01",)
)


def call_at_once(call: Callable[[], None]) -> None:
    call()


def confirm_at_once(then: Callable[[str], None]) -> None:
    then("")


class HastyKeeper(Keeper):
    """Obtains what is due at once, and notes how long it waits between."""

    def __init__(self, folder: Path, outcomes: list[Pair | Exception]) -> None:
        self.lines: list[str] = []
        super().__init__(SETTINGS, folder, self.lines.append, call_at_once, confirm_at_once)
        self.outcomes = outcomes
        self.waits: list[float] = []
        self.due = 0.0

    def run(self) -> None:
        """Work until all outcomes are used."""
        self._work()

    def _find_due(self, pair: Pair) -> float:  # noqa: ARG002
        return self.due

    def _obtain(self, former: Pair | None) -> Pair:  # noqa: ARG002
        if not self.outcomes:
            raise module._StoppedError
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        threading.Event().wait(0.001)


def make_pair(*names: str, begins_in_days: int = -1, ends_in_days: int = 30) -> Pair:
    made = make_certificate(
        *(names or ("a.test",)), begins_in_days=begins_in_days, ends_in_days=ends_in_days
    )
    return Pair(made.certificate, made.key, "a.pem")


def test_what_is_due_as_soon_as_it_was_obtained_is_asked_for_more_and_more_seldom(
    tmp_path: Path,
) -> None:
    """An authority that wants everything renewed, or whose clock is wrong, is not asked in a loop."""
    keeper = HastyKeeper(tmp_path / "state", [make_pair() for _ in range(5)])
    keeper.run()
    assert keeper.waits == [60, 120, 240, 480, 960]


def test_failures_are_told_of_and_wait_longer_each_time(tmp_path: Path) -> None:
    outcomes: list[Pair | Exception] = [AcmeError("no") for _ in range(14)]
    outcomes.insert(2, AcmeError("too many", 1e9))
    keeper = HastyKeeper(tmp_path / "state", outcomes)
    keeper.run()
    for wait, wanted in zip(
        keeper.waits,
        [60, 120, 86_400, *(480 * 2**n for n in range(7)), 61_440, 86_400],
        strict=False,
    ):
        assert 0.9 * wanted <= wait <= 1.1 * wanted
    assert max(keeper.waits) <= 1.1 * 86_400
    assert keeper.lines[0] == "no new certificate for a.test: no; trying again in 1 min"


def write(folder: Path, pair: Pair) -> None:
    (folder / "a.test.pem").write_bytes(pair.certificate)
    (folder / "a.test.key").write_bytes(pair.key)


@pytest.mark.parametrize(
    "found",
    [
        make_pair("b.test"),
        make_pair("a.test", "b.test"),
        make_pair(begins_in_days=-9, ends_in_days=-1),
        make_pair(begins_in_days=2),
    ],
)
def test_a_certificate_that_is_not_what_was_asked_for_is_not_used(
    tmp_path: Path, found: Pair
) -> None:
    """Of other names, over, or not begun by this clock, though it lies in the folder."""
    (tmp_path / "state").mkdir(mode=0o700)
    made = make_certificate("a.test", begins_in_days=-9, ends_in_days=30)
    write(tmp_path / "state", Pair(made.certificate, made.key, ""))
    assert HastyKeeper(tmp_path / "state", []).pair is not None
    write(tmp_path / "state", found)
    assert HastyKeeper(tmp_path / "state", []).pair is None


@pytest.mark.parametrize(
    ("directory", "is_used"),
    [(SETTINGS.directory, True), ("https://localhost:1/staging", False), ("", False)],
)
def test_a_certificate_of_another_directory_is_not_used(
    tmp_path: Path, directory: str, is_used: bool
) -> None:
    """After a trial with staging, clients are not left with what they do not trust."""
    (tmp_path / "state").mkdir(mode=0o700)
    pair = make_pair()
    note = f"directory: {directory}\n".encode()
    write(tmp_path / "state", pair._replace(certificate=note + pair.certificate))
    found = HastyKeeper(tmp_path / "state", []).pair
    assert (found is not None) == is_used
    # The line is for epollo alone.
    assert found is None or found.certificate == pair.certificate


def test_one_server_obtains_for_all_that_share_a_folder(tmp_path: Path) -> None:
    """The others wait for it, and use what it obtained."""
    keeper = HastyKeeper(tmp_path / "state", [])
    pair = make_pair()
    with (tmp_path / "state" / "acme.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = threading.Thread(target=keeper.run)
        worker.start()
        end = time.monotonic() + 30
        while not keeper.waits and time.monotonic() < end:
            threading.Event().wait(0.001)
        write(tmp_path / "state", pair)
    with contextlib.suppress(RuntimeError):
        worker.join(10)
    assert keeper.pair is not None
    assert keeper.pair.certificate == pair.certificate
    assert keeper.lines == ["a new certificate for a.test is in use"]


def test_a_lock_that_is_held_for_long_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_TOLD_SECONDS", 0.0)
    keeper = HastyKeeper(tmp_path / "state", [])
    lock_file = tmp_path / "state" / "acme.lock"
    with lock_file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = threading.Thread(target=keeper.run)
        worker.start()
        assert await_true(lambda: len(keeper.waits) > 3)
    worker.join(10)
    line = f"no certificate is obtained: another process keeps {lock_file} locked"
    assert keeper.lines == [line]


@pytest.mark.parametrize("name", ["a.test.pem", "a.test.key", "acme-localhost_1.key"])
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" * 200_000),
    ],
    ids=["FIFO", "folder", "device", "link to itself", "empty", "long"],
)
def test_what_is_no_file_of_ours_is_as_good_as_none(
    tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    """None of it is waited for, or read without end."""
    (tmp_path / "state").mkdir(mode=0o700)
    write(tmp_path / "state", make_pair())
    path = tmp_path / "state" / name
    path.unlink(missing_ok=True)
    make(path)
    keeper = HastyKeeper(tmp_path / "state", [])
    assert (keeper.pair is None) == name.startswith("a.test")
    if make is not Path.mkdir:
        keeper._load_account_key()
        assert load_key((tmp_path / "state" / "acme-localhost_1.key").read_bytes()) is not None


@pytest.mark.parametrize("times", range(1, 3))
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_certificate_that_cannot_be_written_is_used_and_the_former_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, times: int
) -> None:
    """A disk that is full at any step leaves a pair that belongs together, and has no other asked for."""
    former, issued = make_pair(), make_pair()
    keeper = HastyKeeper(tmp_path / "state", [])
    write(tmp_path / "state", former)
    left = times

    def refuse(original: Callable[..., object]) -> Callable[..., object]:
        def refusing(*arguments: object, **options: object) -> object:
            nonlocal left
            if "a.test" in str(arguments[0]) or call == "fsync":
                left -= 1
                if not left:
                    raise OSError(errno.ENOSPC, "No space left on device")
            return original(*arguments, **options)

        return refusing

    class Issuing:
        def register(self, email: str) -> None:
            """Have an account."""

        def obtain(self, *_: object, **__: object) -> bytes:
            return issued.certificate

    monkeypatch.setattr(keeper, "_open_client", Issuing)
    monkeypatch.setattr(module, "make_key", lambda: load_key(issued.key))
    owner: object = Path if call == "replace" else os
    with monkeypatch.context() as patched:
        patched.setattr(owner, call, refuse(getattr(owner, call)))
        obtained = Keeper._obtain(keeper, former)
    assert obtained.certificate == issued.certificate
    assert keeper.pair == obtained
    names = {path.name for path in (tmp_path / "state").iterdir()}
    assert names == {"a.test.pem", "a.test.key"}
    assert "the new certificate is used until this process ends" in keeper.lines[0]
    assert keeper.lines[1] == "a new certificate for a.test is in use"
    if call != "replace" or times == 1:
        assert keeper._load() is not None
    assert "No space left on device" in keeper.lines[0]


def send_slowly() -> Iterator[bytes]:
    for _ in range(10_000):
        yield b"H"
        threading.Event().wait(0.05)


def test_what_is_under_way_is_broken_off_in_the_end(tmp_path: Path) -> None:
    """A thread in OpenSSL while the process ends would kill it."""
    with HostileAuthority(tmp_path, {"/dir": send_slowly}) as authority:
        lines: list[str] = []
        acme_settings = SETTINGS._replace(
            directory=f"{authority.url}/dir", ca_file=str(tmp_path / "authority.pem")
        )
        keeper = Keeper(
            acme_settings, tmp_path / "state", lines.append, call_at_once, confirm_at_once
        )
        keeper.begin()
        assert await_true(lambda: authority.asked == ["/dir"])
        keeper.close()
        assert not keeper._thread.is_alive()
    # That it was broken off is no failure to tell of.
    assert [line for line in lines if "no new certificate" in line] == []


def test_nothing_is_begun_after_the_end(tmp_path: Path) -> None:
    with HostileAuthority(tmp_path, {}) as authority:
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(AcmeError):
            Client(
                f"{authority.url}/dir", make_key(), authority.trust, lambda _: None, cancellation
            )
        assert authority.asked == []


def test_a_renewal_names_the_former_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9773 section 5; one that does not tell whose it is is renewed without a name."""
    replaced: list[str] = []

    class NotingClient:
        def register(self, email: str) -> None: ...

        def obtain(self, *_: object, **options: str) -> bytes:
            replaced.append(options["replaced"])
            raise AcmeError("that is enough")

    keeper = Keeper(SETTINGS, tmp_path, lambda _: None, call_at_once, confirm_at_once)
    monkeypatch.setattr(keeper, "_open_client", NotingClient)
    issued = Authority().issue("a.test")
    former = Pair(issued.certificate, issued.key, "a.pem")
    for pair in (former, make_pair(), None):
        with pytest.raises(AcmeError, match="that is enough"):
            keeper._obtain(pair)
    assert replaced == [identify(former.certificate), "", ""]
    assert replaced[0].count(".") == 1


def test_names_are_as_certificates_have_them() -> None:
    settings = Settings(acme="a@example.org", domains=("A.test", "b.test", "a.TEST"))
    assert select_acme(settings).names == ("a.test", "b.test")


def test_a_certificate_that_cannot_be_used_is_not_asked_for_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the clock of this machine is behind: the authority has counted it."""
    key = make_key()
    issued = make_pair(begins_in_days=2)

    class GoodClient:
        def register(self, email: str) -> None: ...

        def obtain(self, *_: object, **options: str) -> bytes:  # noqa: ARG002
            return issued.certificate

    keeper = Keeper(SETTINGS, tmp_path, lambda _: None, call_at_once, confirm_at_once)
    monkeypatch.setattr(keeper, "_open_client", GoodClient)
    monkeypatch.setattr(module, "make_key", lambda: key)
    monkeypatch.setattr(module, "dump_key", lambda _: issued.key)
    with pytest.raises(AcmeError, match="is not valid yet") as refused:
        keeper._obtain(None)
    assert refused.value.retry_seconds == 3600
    assert keeper.pair is None


def test_a_certificate_is_in_use_when_all_workers_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority looks for a proof, and the operator learns of a certificate, no sooner."""
    order: list[str] = []
    unconfirmed: list[Callable[[str], None]] = []
    issued = make_pair()

    class Issuing:
        def register(self, email: str) -> None: ...

        def obtain(self, *arguments: Any, **_: object) -> bytes:
            prove = arguments[3]
            prove(CHALLENGE)
            order.append("asked to look")
            prove(None)
            return issued.certificate

    keeper = Keeper(SETTINGS, tmp_path / "state", order.append, call_at_once, unconfirmed.append)
    monkeypatch.setattr(keeper, "_open_client", Issuing)
    monkeypatch.setattr(module, "make_key", lambda: load_key(issued.key))
    work = threading.Thread(target=Keeper._obtain, args=(keeper, None))
    work.start()
    assert await_true(lambda: len(unconfirmed) == 1)
    assert work.is_alive()
    order.append("confirmed")
    unconfirmed.pop()("")
    work.join(30)
    assert order == ["confirmed", "asked to look"]
    unconfirmed.pop()(", but not in one")
    assert order[2:] == ["a new certificate for a.test is in use, but not in one"]


CHALLENGE = Challenge("http-01", "a.test", "token", "authorization")


def test_a_proof_that_is_not_confirmed_is_looked_for_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SPREAD_SECONDS", 0.01)
    offered: list[Callable[[str], None]] = []
    keeper = Keeper(SETTINGS, tmp_path, lambda _: None, call_at_once, offered.append)
    keeper._prove(CHALLENGE)
    assert keeper.proofs.tokens == {"token": "authorization"}
    keeper._prove(None)
    keeper._prove(CHALLENGE)
    # What confirms an earlier one is no answer for the next.
    offered[0]("")
    offered[1]("")
    assert keeper._spread is not keeper.proofs
    offered[2]("")
    assert keeper._spread is keeper.proofs


def test_a_proof_is_waited_for_no_longer_than_the_server_runs(tmp_path: Path) -> None:
    keeper = Keeper(SETTINGS, tmp_path, lambda _: None, call_at_once, lambda _: keeper.close())
    with pytest.raises(module._StoppedError):
        keeper._prove(CHALLENGE)
