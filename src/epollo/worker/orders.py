"""What a supervisor and its workers say to each other, and how a worker follows.

A worker is started with a descriptor of its first orders, a file without a name: an environment variable
holds no more than 128 KiB (execve(2)), and settings have no such bound.
"""

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

from epollo.annotations import Any, Final, NoReturn, Protocol
from epollo.errors import OperatorError
from epollo.loop import EventLoop, Handler
from epollo.transports.listening import adopt
from epollo.transports.pairs import ClientAuthorities, Pair, Secrets

ORDERS_VARIABLE: Final = "EPOLLO_WORKER"
"""The variable that names the descriptor of a worker's first orders: settings, and its sockets."""

# What a worker says to its supervisor, one message each; some are followed by a text.
READY: Final = b"ready "
HERE: Final = b"here"
MISTAKE: Final = b"mistake "
ROOT_REPLACED: Final = b"root replaced"
LEAVING: Final = b"leaving"

PASSWORDS: Final = b"passwords "
"""With the number of a site: a worker asks what its password file holds. The answer is the same, with a
descriptor of it; without one if it cannot be read."""

CODER: Final = b"coder"
"""A worker asks for a coder. The answer is the same, with a socket to one; without if there is none."""
CODER_SILENT: Final = b"coder is silent"
"""A worker waits for a coder that does not answer."""

IN_USE: Final = b"in use "
"""With the number of the secrets that a worker has begun to use. A supervisor with older code gives no
number, and is not answered."""

# What it is told.
ARE_YOU_THERE: Final = b"are you there"
DRAIN: Final = b"drain"
STOP: Final = b"stop"
STOP_AT_ONCE: Final = b"stop at once"
COVER: Final = b"cover"
"""With descriptors: the sockets, besides its own, on which no worker accepts at the moment."""
REOPEN: Final = b"reopen"
"""With a descriptor: the access log from now on."""
SECRETS: Final = b"secrets"
"""With a descriptor, as `write_orders` returns one: the secrets of TLS from the next handshake on, with
the number by which the worker confirms them (`IN_USE`)."""
DESCRIPTORS_LIMIT: Final = 253
"""The most that one message passes (SCM_RIGHTS, unix(7))."""

_F_SETPIPE_SZ: Final = 1031
"""linux/fcntl.h; Python names it from 3.10 on, but not on every C library."""
_PIPE_OCTETS: Final = 65_536

LEFT_TO_SUPERVISOR: Final = frozenset(
    (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
)
"""Signals that a terminal or an operator sends to all processes together, and that a worker ignores:
the supervisor says what they mean. They are blocked from before the worker is started on."""


def write_orders(orders: Any) -> int:
    """Return a descriptor that the first orders can be read from; the caller closes it.

    Raises `OSError` if the system has no descriptor or no memory.
    """
    return write_content(json.dumps(orders).encode())


def write_content(octets: bytes) -> int:
    """Return a descriptor that octets can be read from; the caller closes it.

    Raises `OSError` if the system has no descriptor or no memory.
    """
    try:
        descriptor = os.memfd_create("orders", os.MFD_CLOEXEC)
    except (OSError, AttributeError):
        return _write_to_pipe(octets)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(octets)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_to_pipe(octets: bytes) -> int:
    """Return the end of a pipe that holds octets, where the system has no files without a name."""
    reading, writing = os.pipe()
    try:
        if len(octets) > _PIPE_OCTETS:
            fcntl.fcntl(writing, _F_SETPIPE_SZ, len(octets))
        os.set_blocking(writing, False)
        if os.write(writing, octets) < len(octets):
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


def read_orders() -> dict[str, Any]:
    """Return the first orders, which the environment names no longer.

    Raises `OperatorError` in a program that no supervisor has started.
    """
    try:
        with open(int(os.environ.pop(ORDERS_VARIABLE)), "rb") as file:
            orders: dict[str, Any] = json.load(file)
    except (KeyError, ValueError, OSError) as error:
        raise OperatorError("a worker is started by epollo --workers, not by hand") from error
    return orders


def dump_secrets(secrets: Secrets, number: int = 0) -> dict[str, Any]:
    """Return secrets as part of orders, with the number that a worker confirms them by; 0 for none."""
    return {
        "number": number,
        "pairs": [_dump_pair(pair) for pair in secrets.pairs],
        "ticket_key": secrets.ticket_key.hex(),
        "tokens": dict(secrets.tokens),
        "proofs": {name: _dump_pair(pair) for name, pair in secrets.proofs.items()},
        "clients": [one and _dump_clients(one) for one in secrets.clients],
    }


def load_secrets(dumped: dict[str, Any]) -> Secrets:
    """Return the secrets that `dump_secrets` wrote."""
    return Secrets(
        [_load_pair(*one) for one in dumped["pairs"]],
        bytes.fromhex(dumped["ticket_key"]),
        dumped["tokens"],
        {name: _load_pair(*one) for name, one in dumped["proofs"].items()},
        tuple(one and _load_clients(*one) for one in dumped["clients"]),
    )


def _dump_pair(pair: Pair) -> list[str]:
    return [pair.certificate.decode("latin-1"), pair.key.decode("latin-1"), pair.place]


def _dump_clients(clients: ClientAuthorities) -> list[str | bool]:
    return [clients.certificates.decode("latin-1"), clients.is_required, clients.place]


def _load_clients(certificates: str, is_required: bool, place: str) -> ClientAuthorities:
    return ClientAuthorities(certificates.encode("latin-1"), is_required, place)


def _load_pair(certificate: str, key: str, place: str) -> Pair:
    return Pair(certificate.encode("latin-1"), key.encode("latin-1"), place)


class Ordered(Protocol):
    """What follows orders."""

    def retire(self) -> None:
        """Finish with every peer in its own time."""

    def stop(self) -> None:
        """Finish what is under way, within the grace."""

    def stop_at_once(self) -> None:
        """Finish nothing."""

    def cover(self, listening: Sequence[socket.socket], /) -> None:
        """Accept from these too."""

    def reopen_log(self) -> None:
        """Write the access log to another file of the same name."""

    def use_secrets(self, secrets: Secrets, /) -> None:
        """Use these certificates from the next handshake on."""

    def take_passwords(self, number: int, octets: bytes | None, /) -> None:
        """Take what the password file of a site holds; None if it cannot be read."""

    def use_coder(self, descriptor: int | None, /) -> None:
        """Have codings made at the other end of this socket; None if none are made there."""


class Orders(Handler):
    """The handler of what the supervisor says, and the way to answer."""

    def __init__(self, control: socket.socket, *, has_coder: bool = False) -> None:
        """``has_coder`` is whether the supervisor starts coders; one with older code does not."""
        self.has_coder = has_coder
        self._control = control
        self._worker: Ordered | None = None
        self._loop: EventLoop | None = None
        self._log_descriptors: list[int] = []

    def begin(self, worker: Ordered, loop: EventLoop) -> None:
        """Follow orders from now on; those that have come already are waiting."""
        self._worker, self._loop = worker, loop
        loop.add(self._control.fileno(), self)

    def say(self, message: bytes) -> None:
        """Tell the supervisor something."""
        # It is gone, as the loop reports, or has not read what it was told before.
        with contextlib.suppress(OSError):
            self._control.send(message)

    def ask_for_passwords(self, number: int) -> None:
        """Ask what the password file of a site holds now."""
        self.say(PASSWORDS + b"%d" % number)

    def ask_for_coder(self) -> None:
        """Ask for a socket to a coder."""
        self.say(CODER)

    def say_coder_is_silent(self) -> None:
        """Have the supervisor see whether the coder lives."""
        self.say(CODER_SILENT)

    def give_up(self, mistake: str) -> NoReturn:
        """End with status 2, and have the supervisor say why."""
        self.say(MISTAKE + mistake.encode(errors="backslashreplace"))
        sys.exit(2)

    def close(self) -> None:
        """Say no more; the supervisor hears the end of the process."""
        self._control.close()

    def take_log_descriptor(self) -> int:
        """Return the descriptor that the access log continues with."""
        return self._log_descriptors.pop()

    def on_ready(self, events: int) -> None:  # noqa: ARG002, PLR0912 - each order is a branch
        """Follow an order; where the supervisor is gone, stop."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, 64, DESCRIPTORS_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        worker = self._worker
        if worker is None or self._loop is None:
            return
        if message == ARE_YOU_THERE:
            self.say(HERE)
        elif message == DRAIN:
            worker.retire()
        elif message == STOP:
            worker.stop()
        elif message == STOP_AT_ONCE:
            worker.stop_at_once()
        elif message == COVER:
            worker.cover(adopt(descriptors))
        elif message == REOPEN:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                self._log_descriptors.append(descriptor)
                worker.reopen_log()
        elif message == SECRETS:
            for octets in map(_read_content, descriptors):
                dumped = json.loads(octets)
                worker.use_secrets(load_secrets(dumped))
                if number := dumped.get("number", 0):
                    self.say(IN_USE + b"%d" % number)
        elif message.startswith(PASSWORDS):
            contents = [*map(_read_content, descriptors), None]
            worker.take_passwords(int(message[len(PASSWORDS) :]), contents[0])
        elif message == CODER:
            worker.use_coder(descriptors[0] if descriptors else None)
        elif not message:
            self._loop.remove(self._control.fileno())
            worker.stop()

    def on_fault(self, fault: Exception) -> None:  # noqa: ARG002
        """Stop: a worker that cannot be told anything must not serve."""
        if self._worker is not None:
            self._worker.stop()


def _read_content(descriptor: int) -> bytes:
    """Return what stands in a file that was passed, and close it."""
    # Its offset is shared with all workers that have it (open(2)).
    octets = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    os.close(descriptor)
    return octets
