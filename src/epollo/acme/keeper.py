"""Keeps a certificate valid: obtains it, writes it to the state folder, renews it in time.

A thread talks to the authority; everything else is called in the loop of the parent. A failure is told
in one line. The keeper tries again later, each time after twice as long, at most a day; until then the
former certificate stays in use.
"""

import contextlib
import fcntl
import math
import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from epollo.acme.client import Challenge, Client
from epollo.acme.credentials import (
    choose_within,
    dump_key,
    find_renewal,
    identify,
    load_key,
    make_key,
    make_proof,
    make_request,
)
from epollo.acme.exchange import AcmeError, Cancellation
from epollo.annotations import Final
from epollo.errors import OperatorError, describe_fault
from epollo.named_tuples import NamedTuple
from epollo.settings import Settings
from epollo.transports.certificates import Certificates
from epollo.transports.pairs import Pair
from epollo.transports.state_folder import (
    open_state_folder,
    read_secret,
    write_secret,
    write_secrets,
)

DIRECTORIES: Final = {
    "production": "https://acme-v02.api.letsencrypt.org/directory",
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
"""Of Let's Encrypt, by the words that an operator may type."""
_NOTE: Final = b"directory: "
"""Begins the line before a certificate, which names its directory (RFC 7468 section 5.2 allows it)."""
_PLAIN_FIRST: Final = ("http-01", "tls-alpn-01")
_TLS_FIRST: Final = ("tls-alpn-01", "http-01")
_FIRST_DELAY_SECONDS: Final = 60.0
_LONGEST_DELAY_SECONDS: Final = 86_400.0
_HASTY_SECONDS: Final = 3600.0
"""A certificate that is to be renewed within this time after it was obtained waits as after a failure."""
_LOCK_SECONDS: Final = 1.0
_LOCK_TOLD_SECONDS: Final = 1800.0
"""Another server has its certificate, or a refusal, by then."""
_PARTING_SECONDS: Final = 2.0
"""The longest that a thread is waited for at the end: it may be resolving a name."""
_ASK_EVERY_SECONDS: Final = 6 * 3600.0
"""How often the authority is asked when it wants a renewal (RFC 9773 section 4.3.2)."""
_SPREAD_SECONDS: Final = 10.0
"""An authority is asked to look after this time, even if a worker has not confirmed the proof."""


class AcmeSettings(NamedTuple):
    """What is asked of an authority.

    ``ca_file`` has the certificates to trust for it; empty for the system's own.
    """

    email: str
    names: tuple[str, ...]
    directory: str
    ca_file: str
    profile: str
    kinds: tuple[str, ...]


def select_acme(settings: Settings) -> AcmeSettings:
    """Return what settings ask of an authority."""
    return AcmeSettings(
        settings.acme,
        # As certificates write them; a name that is given twice counts once.
        tuple(dict.fromkeys(name.lower() for name in settings.domains)),
        DIRECTORIES.get(settings.acme_directory, settings.acme_directory),
        settings.acme_ca,
        settings.acme_profile,
        # Whether a port of plain HTTP is there, which an authority asks on port 80.
        _PLAIN_FIRST if settings.tls_port else _TLS_FIRST,
    )


def check_authority(ca_file: str) -> None:
    """Raise `OperatorError` if an authority could not be trusted for its own certificate."""
    try:
        ssl.create_default_context(cafile=ca_file or None)
    except (ssl.SSLError, OSError) as error:
        reason = (
            error.strerror if type(error) is not ssl.SSLError else "it has no certificate as PEM"
        )
        raise OperatorError(f"cannot read {ca_file}: {reason}") from None


class Proofs(NamedTuple):
    """What answers challenges now: by token, and by name."""

    tokens: dict[str, str]
    pairs: dict[str, Pair]


NO_PROOFS: Final = Proofs({}, {})


class _StoppedError(Exception):
    """The keeper is to stop."""


class Keeper:
    """The certificate for some names.

    ``change`` is called in the loop when `pair` or `proofs` have changed. It is given what to call when
    all workers use them, in the loop too, with what is to be added to a line that says so.
    """

    def __init__(
        self,
        settings: AcmeSettings,
        folder: Path,
        report: Callable[[str], None],
        call_in_loop: Callable[[Callable[[], None]], None],
        change: Callable[[Callable[[str], None]], None],
    ) -> None:
        """Raise `OperatorError` if the folder cannot be used."""
        self._settings = settings
        self._report = report
        self._call_in_loop = call_in_loop
        self._change = change
        host = settings.directory.partition("://")[2].partition("/")[0].replace(":", "_")
        open_state_folder(folder)
        self._account_file = folder / f"acme-{host}.key"
        self._certificate_file = folder / f"{settings.names[0]}.pem"
        self._key_file = folder / f"{settings.names[0]}.key"
        self._lock_file = folder / "acme.lock"
        self._note = _NOTE + settings.directory.encode()
        self.pair = self._load()
        """The certificate that is in use; None while there is none."""
        self.proofs = NO_PROOFS
        self._condition = threading.Condition()
        self._is_stopped = False
        self._spread = NO_PROOFS
        """What all workers have."""
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._work, name="acme", daemon=True)

    def begin(self) -> None:
        """Obtain a certificate, now or when it is time."""
        if self.pair is None:
            names = ", ".join(self._settings.names)
            self._report(
                f"there is no certificate for {names} yet: until there is, the site is plain http"
            )
        self._thread.start()

    def close(self) -> None:
        """Ask for nothing more, and break off what is under way."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify()
        self._cancellation.cancel()
        # If a thread calls OpenSSL while the process unloads it at its end, the process crashes.
        if self._thread.ident is not None:
            self._thread.join(_PARTING_SECONDS)

    def _load(self) -> Pair | None:
        """Return what was obtained earlier, if it is valid, for all names, and of this directory.

        Clients do not trust what an authority's directory for trials has issued.
        """
        try:
            certificate = read_secret(self._certificate_file)
            note, _, rest = certificate.partition(b"\n")
            if note.startswith(_NOTE):
                if note != self._note:
                    return None
                certificate = rest
            key = read_secret(self._key_file)
            pair = Pair(certificate, key, os.fspath(self._certificate_file))
            self._check(pair)
        except (OSError, OperatorError, AcmeError):
            return None
        return pair

    def _check(self, pair: Pair) -> None:
        """Raise `OperatorError` or `AcmeError` if a certificate is not what was asked for."""
        if set(Certificates([pair]).names) != set(self._settings.names):
            raise AcmeError("the certificate that the authority sent has other names")

    def _work(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        obtained = -math.inf
        # The loop begins to use what was obtained after this thread has gone on.
        pair = self.pair
        with contextlib.suppress(_StoppedError):
            while True:
                try:
                    self._wait_until_due(pair)
                    is_hasty = time.monotonic() < obtained + _HASTY_SECONDS
                    if is_hasty:
                        # The authority's clock is wrong, or ours, or it wants everything renewed.
                        self._wait(delay)
                        delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
                    with self._locked():
                        pair = self._find_others(pair) or self._obtain(pair)
                    obtained = time.monotonic()
                    if not is_hasty:
                        delay = _FIRST_DELAY_SECONDS
                except (AcmeError, OperatorError) as error:
                    wanted = error.retry_seconds if isinstance(error, AcmeError) else 0.0
                    self._tell_failure(str(error), max(delay, wanted))
                    self._wait(max(delay, wanted) * random.uniform(0.9, 1.1))  # noqa: S311
                    delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
                except _StoppedError:
                    raise
                except Exception as fault:
                    self._tell_failure(describe_fault(fault), delay)
                    self._wait(delay)
                    delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    def _tell_failure(self, reason: str, seconds: float) -> None:
        if self._is_stopped:
            return
        names = ", ".join(self._settings.names)
        line = f"no new certificate for {names}: {reason}; trying again in {seconds / 60:.0f} min"
        self._call_in_loop(partial(self._report, line))

    def _wait(self, seconds: float) -> None:
        """Wait; raise `_StoppedError` if the keeper is to stop."""
        with self._condition:
            if not self._is_stopped:
                self._condition.wait(max(0.0, seconds))
            if self._is_stopped:
                raise _StoppedError

    def _wait_until_due(self, pair: Pair | None) -> None:
        """Wait until a certificate is to be renewed; not at all where there is none."""
        while pair is not None:
            due = self._find_due(pair)
            now = time.time()
            if now >= due:
                return
            self._wait(min(due - now, _ASK_EVERY_SECONDS))

    def _find_due(self, pair: Pair) -> float:
        """Return when to renew, seconds since 1970: as the authority wants it, or after two thirds."""
        due = find_renewal(pair.certificate)
        with contextlib.suppress(AcmeError, ValueError, KeyError, TypeError):
            window = self._open_client().find_window(identify(pair.certificate))
            if window is not None:
                due = choose_within(*window)
        return due

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Obtain nothing while another server does that has the same state folder."""
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperatorError(f"cannot write {self._lock_file}: {error.strerror}") from None
        told_at = time.monotonic() + _LOCK_TOLD_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._wait(_LOCK_SECONDS)
                if time.monotonic() >= told_at:
                    told_at = math.inf
                    line = f"no certificate is obtained: another process keeps {self._lock_file} locked"
                    self._call_in_loop(partial(self._report, line))
            yield
        finally:
            os.close(descriptor)

    def _find_others(self, used: Pair | None) -> Pair | None:
        """Return what another server has obtained meanwhile, and use it; None if there is nothing."""
        pair = self._load()
        if pair is None or pair == used or find_renewal(pair.certificate) <= time.time():
            return None
        self._call_in_loop(partial(self._use, pair))
        return pair

    def _obtain(self, former: Pair | None) -> Pair:
        """Obtain a certificate instead of the former one, write it, have it used, and return it."""
        settings = self._settings
        client = self._open_client()
        client.register(settings.email)
        key = make_key()
        request = make_request(settings.names, key)
        replaced = ""
        if former is not None:
            with contextlib.suppress(ValueError):
                replaced = identify(former.certificate)
        chain = client.obtain(
            settings.names,
            request,
            settings.kinds,
            self._prove,
            profile=settings.profile,
            replaced=replaced,
        )
        pair = Pair(chain, dump_key(key), os.fspath(self._certificate_file))
        try:
            self._check(pair)
        except (AcmeError, OperatorError) as mistake:
            # The next one would be like it, and an authority issues only a few in a week.
            raise AcmeError(str(mistake), _HASTY_SECONDS) from None
        try:
            # The key first: a pair that does not match is obtained anew at the next start.
            certificate = self._note + b"\n" + pair.certificate
            write_secrets({self._key_file: pair.key, self._certificate_file: certificate})
        except OperatorError as mistake:
            # To ask for another, again and again, would use up what the authority issues in a week.
            line = f"{mistake}; the new certificate is used until this process ends"
            self._call_in_loop(partial(self._report, line))
        self._call_in_loop(partial(self._use, pair))
        return pair

    def _open_client(self) -> Client:
        context = ssl.create_default_context(cafile=self._settings.ca_file or None)
        return Client(
            self._settings.directory,
            self._load_account_key(),
            context,
            self._wait,
            self._cancellation,
        )

    def _load_account_key(self) -> ec.EllipticCurvePrivateKey:
        with contextlib.suppress(OSError):
            key = load_key(read_secret(self._account_file))
            if key is not None:
                return key
        key = make_key()
        write_secret(self._account_file, dump_key(key))
        return key

    def _use(self, pair: Pair) -> None:
        names = ", ".join(self._settings.names)
        self.pair = pair
        line = f"a new certificate for {names} is in use"
        self._change(lambda addition: self._report(line + addition))

    def _prove(self, challenge: Challenge | None) -> None:
        """Have all workers answer a challenge; with None, end that."""
        proofs = NO_PROOFS
        if challenge is not None and challenge.kind == "http-01":
            proofs = Proofs({challenge.token: challenge.authorization}, {})
        elif challenge is not None:
            certificate, key = make_proof(challenge.name, challenge.authorization)
            proofs = Proofs({}, {challenge.name: Pair(certificate, key, "a challenge")})
        self._call_in_loop(partial(self._offer, proofs))
        if challenge is not None:
            self._wait_until_spread(proofs)

    def _offer(self, proofs: Proofs) -> None:
        self.proofs = proofs
        self._change(lambda _: self._on_spread(proofs))

    def _on_spread(self, proofs: Proofs) -> None:
        with self._condition:
            self._spread = proofs
            self._condition.notify()

    def _wait_until_spread(self, proofs: Proofs) -> None:
        """Wait until all workers have a proof; raise `_StoppedError` if the keeper is to stop."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._spread is proofs or self._is_stopped, _SPREAD_SECONDS
            )
            if self._is_stopped:
                raise _StoppedError
