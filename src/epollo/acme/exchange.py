"""One exchange with an authority over HTTPS: bounded in time and octets; another thread can end it.

If the network fails, or what comes is no answer, `AcmeError` says so in one line.
"""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator

from epollo.annotations import Any, Final
from epollo.http.dates import parse_date
from epollo.named_tuples import NamedTuple

_TIMEOUT_SECONDS: Final = 30.0
_EXCHANGE_SECONDS: Final = 60.0
"""A request and all of its answer, however steadily the octets come."""
_REPLY_OCTETS_LIMIT: Final = 1024 * 1024
_SHOWN_CHARACTERS: Final = 300
_DIGITS_LIMIT: Final = 9
_LONGEST_RETRY_SECONDS: Final = 86_400.0


class AcmeError(Exception):
    """The authority did not do what it was asked for.

    ``retry_seconds`` is when it wants to be asked again; 0 if it does not say. ``kind`` is the type of
    its problem document; empty if there is none.
    """

    def __init__(self, text: str, retry_seconds: float = 0.0, kind: str = "") -> None:
        # Some of the text is the authority's: it must not hold commands for a terminal.
        shown = " ".join(text.split())[:_SHOWN_CHARACTERS]
        super().__init__("".join(one if one.isprintable() else "?" for one in shown))
        self.retry_seconds = min(retry_seconds, _LONGEST_RETRY_SECONDS)
        self.kind = kind


class Reply(NamedTuple):
    """What the authority answered: JSON as a document, anything else as octets."""

    status: int
    headers: http.client.HTTPMessage
    document: Any

    def read_retry(self) -> float:
        """Return after how many seconds the authority wants the next request; 0 if it does not say.

        RFC 9110 section 10.2.3.
        """
        value = (self.headers["Retry-After"] or "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:_DIGITS_LIMIT])
        now = int(time.time())
        instant = parse_date(value.encode("latin-1", "replace"), now)
        return 0.0 if instant is None else max(0.0, float(instant - now))


class Cancellation:
    """Ends exchanges from another thread: the one that is under way, and each that begins later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._peer: socket.socket | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """End the exchange that is under way, and let no other begin."""
        with self._lock:
            self._is_cancelled = True
            if self._peer is not None:
                end_exchange(self._peer)

    @contextlib.contextmanager
    def over(self, peer: socket.socket) -> Iterator[None]:
        """Have a connection be the one that is ended, within the block."""
        with self._lock:
            self._peer = peer
            if self._is_cancelled:
                end_exchange(peer)
        try:
            yield
        finally:
            with self._lock:
                self._peer = None


def end_exchange(peer: socket.socket) -> None:
    """Have reading and writing fail in the thread that waits for them."""
    with contextlib.suppress(OSError):
        # `SSLSocket.shutdown` would forget the session while the other thread reads by it.
        socket.socket.shutdown(peer, socket.SHUT_RDWR)


class Exchanges:
    """Makes exchanges that trust what ``context`` does, until they are cancelled."""

    def __init__(self, context: ssl.SSLContext, cancellation: Cancellation) -> None:
        self._context = context
        self._cancellation = cancellation

    def fetch(self, method: str, url: str, content: bytes | None = None) -> Reply:
        """Return what a request is answered with. Raises `AcmeError` if there is no answer."""
        host, port, target = split_url(url)
        headers = {"User-Agent": "epollo"}
        if content is not None:
            headers["Content-Type"] = "application/jose+json"
        connection = None
        try:
            connection = http.client.HTTPSConnection(host, port, context=self._context)
            with self._connect(host, port) as connection.sock:
                connection.request(method, target, content, headers)
                with connection.getresponse() as response:
                    octets = response.read(_REPLY_OCTETS_LIMIT + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or repr(error)
            raise AcmeError(f"{_show(host, port)} cannot be reached: {reason}") from None
        finally:
            if connection is not None:
                connection.close()
        if len(octets) > _REPLY_OCTETS_LIMIT:
            raise AcmeError(f"{_show(host, port)} sent more than {_REPLY_OCTETS_LIMIT} bytes")
        kind = response.headers.get_content_type()
        document: Any = octets
        if kind in {"application/json", "application/problem+json"}:
            try:
                document = json.loads(octets)
            except (ValueError, RecursionError):
                raise AcmeError(f"{_show(host, port)} sent what is no JSON") from None
        return Reply(response.status, response.headers, document)

    @contextlib.contextmanager
    def _connect(self, host: str, port: int) -> Iterator[socket.socket]:
        """Yield a connection that has a time for all of it. Raises `TimeoutError` if that is over.

        The timeout of a socket is one for each octet.
        """
        is_over = threading.Event()

        def end() -> None:
            is_over.set()
            end_exchange(peer)

        with (
            socket.create_connection((host, port), _TIMEOUT_SECONDS) as plain,
            self._context.wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False
            ) as peer,
            self._cancellation.over(peer),
        ):
            timer = threading.Timer(_EXCHANGE_SECONDS, end)
            timer.daemon = True
            timer.start()
            try:
                peer.do_handshake()
                yield peer
            except (OSError, http.client.HTTPException):
                if not is_over.is_set():
                    raise
            finally:
                timer.cancel()
            if is_over.is_set():
                raise TimeoutError(f"no whole answer in {_EXCHANGE_SECONDS:.0f} seconds")


def split_url(url: str) -> tuple[str, int, str]:
    """Return the host, the port and the target of a URL. Raises `AcmeError` if it is none of https."""
    try:
        parts = urllib.parse.urlsplit(str(url))
        port = parts.port or 443
    except ValueError:
        raise AcmeError(f"the authority names what is no URL: {url}") from None
    if parts.scheme != "https" or not parts.hostname:
        raise AcmeError(f"the authority is not reached by https: {url}")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, port, target or "/"


def _show(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == 443 else f"{name}:{port}"
