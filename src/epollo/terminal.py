"""What the operator is told: lines on stdout and stderr; the first of them say where the site is."""

import io
import os
import socket
import sys
from collections.abc import Sequence
from functools import partial

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.nonblocking import await_relays, open_nonblocking
from epollo.loop import EventLoop
from epollo.output import Output

_PARTING_SECONDS: Final = 1.0
"""A slow reader is waited for at most this long at the end."""


class _Nowhere:
    """Where lines go that have no reader any more; opened early, a sandbox would not let us later."""

    descriptor = -1


class _Outputs:
    """What takes lines without waiting; None if printing may wait."""

    stdout: Output | None = None
    stderr: Output | None = None


def open_streams() -> None:
    """Make sure that stdin, stdout and stderr are there, and can show any name that a file has.

    A shell may have closed them (``>&-``), and then the next descriptor that is opened, a peer's
    perhaps, would get what is printed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free is this one (open(2)).
            _open_nowhere()
    _Nowhere.descriptor = _open_nowhere()
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _open_nowhere() -> int:
    """Return the lowest descriptor that was free, for what no reader wants."""
    try:
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        # A container may have no devices.
        reading, writing = os.pipe()
        os.close(reading)
        lowest = os.dup(writing)
        os.close(writing)
        return lowest


def make_streams_nonblocking() -> None:
    """Have `tell` and `report` wait for no reader from now on, as a server must.

    What is not read in time is left out, and counted. To be called before rights are given up.
    """
    for name, on_failure in (("stderr", _do_without), ("stdout", _tell_no_more)):
        stream = getattr(sys, name)
        try:
            descriptor = open_nonblocking(stream.fileno())
        except OSError as error:
            report(f"nothing more is printed on {name}: {error.strerror}")
            descriptor = os.dup(_Nowhere.descriptor)
        format_omission = partial(_format_omission, name)
        setattr(_Outputs, name, Output(descriptor, format_omission, on_failure))


def attend_streams(loop: EventLoop | None) -> None:
    """Have a loop print what waits for a reader; with None, no loop."""
    for output in (_Outputs.stdout, _Outputs.stderr):
        if output is not None:
            output.attend(loop)


def close_streams() -> None:
    """Print what waits for a reader, if need be for a moment; printing may wait from now on."""
    stdout, _Outputs.stdout = _Outputs.stdout, None
    if stdout is not None:
        stdout.close()
    stderr, _Outputs.stderr = _Outputs.stderr, None
    if stderr is not None:
        stderr.close()
    await_relays(_PARTING_SECONDS)


def _format_omission(name: str, lines: int) -> bytes:
    text = f"{lines} line{' is' if lines == 1 else 's are'} left out: {name} was not read"
    return f"({text})\n".encode() if name == "stdout" else f"epollo: {text}\n".encode()


def _tell_no_more(error: OSError) -> None:
    report(f"nothing more is printed on stdout: {error.strerror}")


def _do_without(error: OSError) -> None:
    """Say nothing: stderr has no reader either."""


def tell(line: str) -> None:
    """Print one line on stdout; if stdout has no reader any more, do nothing."""
    line = _keep_on_line(line) + "\n"
    if _Outputs.stdout is not None:
        _Outputs.stdout.put(line.encode(sys.stdout.encoding, "backslashreplace"))
        return
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except OSError as error:
        # What is still in the buffer goes there too, now or at exit.
        os.dup2(_Nowhere.descriptor, sys.stdout.fileno())
        _tell_no_more(error)


def print_text(text: str) -> None:
    """Print a requested text on stdout; its reader may stop before the end.

    Raises `OperatorError` if it cannot be written.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(_Nowhere.descriptor, sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OperatorError(f"cannot write to stdout: {error.strerror}") from None


def report(line: str) -> None:
    """Tell the operator something, in one line on stderr."""
    line = f"epollo: {_keep_on_line(line)}\n"
    if _Outputs.stderr is not None:
        _Outputs.stderr.put(line.encode(sys.stderr.encoding, "backslashreplace"))
        return
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        # stderr has no reader either.
        return


def _keep_on_line(text: str) -> str:
    """Write out the characters that would move the cursor: a folder's name may hold any."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def describe_start(
    roots: Sequence[str | os.PathLike[str]], places: list[str], poller_name: str, sandbox: str
) -> list[str]:
    """Return the first lines: what is served and where (`describe_places`), and how to stop it."""
    shown = os.path.realpath(roots[0]) if len(roots) == 1 else f"{len(roots)} sites"
    lines = [f"epollo serves {shown}", *places, f"  poller:  {poller_name}"]
    if sandbox != "off":
        lines.append(f"  sandbox: {sandbox}")
    lines.append("  stop it with Ctrl-C")
    return lines


def describe_places(addresses: list[tuple[str, int] | str], scheme: str = "http") -> list[str]:
    """Return the lines that say where the server is reached."""
    lines = []
    for address in addresses:
        if isinstance(address, str):
            lines.append(f"  at:      {address}")
            continue
        host, port = address
        if host in {"0.0.0.0", "::"}:
            lines.append(f"  here:    {format_link('localhost', port, scheme)}")
            reachable = find_reachable_address()
            if reachable is not None:
                lines.append(f"  others:  {format_link(reachable, port, scheme)}")
        else:
            lines.append(f"  at:      {format_link(host, port, scheme)}")
    return lines


def format_link(host: str, port: int, scheme: str = "http") -> str:
    """Return a link that terminals make clickable."""
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}/"


def find_reachable_address() -> str | None:
    """Return the address that other machines reach this one by, None without a network.

    The kernel tells which address it would send from; connecting a datagram socket sends nothing.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # An address of the range that is reserved for documentation (RFC 5737).
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
