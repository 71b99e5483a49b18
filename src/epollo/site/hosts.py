"""Which site a request is for, by its host (RFC 9110 section 7.2), and which hosts are answered at all.

A pattern is a name or an address, or ``*.`` and a name: any name that ends in a dot and that. If two
patterns match, an exact one counts before any other, and a longer one before a shorter.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

from epollo.annotations import Final, Generic, TypeAlias, TypeVar
from epollo.generations import Generations
from epollo.http.fields import is_host
from epollo.http.message import PERMANENT, FieldLine, Later, Request, Response, select_host
from epollo.http.status import respond_plainly
from epollo.patterns import compile_late

LOCAL: Final = "local"
"""The word for loopback names and addresses (RFC 6761 section 6.3, RFC 1122, RFC 4291)."""

_HOST_OCTETS_LIMIT: Final = 255
_RECALLED_HOSTS: Final = 1024
_PORT: Final = compile_late(rb":[0-9]*\Z")

Responder: TypeAlias = Callable[[Request], Response | Later]
Value = TypeVar("Value")


class HostTable(Generic[Value]):
    """Values by the patterns of hosts."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        """Raise `ValueError` for what is no pattern."""
        self._exact: dict[bytes, Value] = {}
        self._endings: dict[bytes, Value] = {}
        for pattern, value in values.items():
            name = parse_pattern(pattern)
            if name.startswith(b"*"):
                self._endings[name[1:]] = value
            else:
                self._exact[name] = value

    def find(self, host: bytes) -> Value | None:
        """Return what is known of a host, in lower case and without a port."""
        host = host.removesuffix(b".")
        value = self._exact.get(host)
        if value is None and host.startswith(b"["):
            return self._exact.get(_normalize_literal(host))
        if value is not None or not self._endings or len(host) > _HOST_OCTETS_LIMIT:
            # No name is longer (RFC 1035 section 2.3.4): a field of dots is not looked through.
            return value
        at = host.find(b".", 1)
        while at > 0:
            value = self._endings.get(host[at:])
            if value is not None:
                return value
            at = host.find(b".", at + 1)
        return None


def parse_pattern(pattern: str) -> bytes:
    """Return a pattern as hosts are compared with it; raise `ValueError` if it is no pattern."""
    text = pattern.strip().lower()
    if ":" in text and not text.startswith("["):
        text = f"[{text}]"
    try:
        name = text.encode("ascii").removesuffix(b".")
    except UnicodeEncodeError:
        raise ValueError(
            f"{pattern!r} is no host: a name with other letters is written in ASCII (xn--...)"
        ) from None
    if name.startswith(b"["):
        name = _normalize_literal(name)
    shown = name.removeprefix(b"*.")
    if not shown or b"*" in shown or not is_host(shown) or _PORT.search(_mask_brackets(shown)):
        raise ValueError(f"{pattern!r} is no host: a name, an address, or *. and a name")
    if shown.startswith(b"."):
        raise ValueError(f"{pattern!r} is no host; is *{text} meant?")
    return name


def is_loopback(host: bytes) -> bool:
    """Return whether a host, in lower case and without a port, can only be this machine."""
    host = host.removesuffix(b".")
    if host == b"localhost" or host.endswith(b".localhost"):
        return True
    try:
        address = ip_address(host.decode("ascii").strip("[]"))
    except ValueError:
        return False
    # An IPv4 address in the form of IPv6 (RFC 4291 section 2.5.5.2) reaches the same machine.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Hosts:
    """The sites of a server as one responder.

    A host that no site has is answered by the default one; without that, with 421 (RFC 9110 section
    15.5.20).
    """

    def __init__(
        self,
        sites: Mapping[str, Responder],
        default: Responder | None,
        fields: tuple[FieldLine, ...] = (),
    ) -> None:
        """``sites`` are by the patterns of their hosts, ``fields`` those of an answer 421."""
        misdirected = respond_plainly(421, fields, basis=PERMANENT)
        self._table = HostTable(sites)
        self._default: Responder = default or (lambda _: misdirected)

    def respond(self, request: Request) -> Response | Later:
        """Return the response of the site that has the host of a request."""
        return (self._table.find(select_host(request)) or self._default)(request)


class AllowedHosts:
    """A responder that answers requests for some hosts only, against DNS rebinding.

    A page of another site can have its own name lead to this machine. Then it could read what is served
    here as if it came from that site, but its requests name its own host.
    """

    def __init__(
        self, patterns: tuple[str, ...], then: Responder, fields: tuple[FieldLine, ...] = ()
    ) -> None:
        self._allows_local = LOCAL in patterns
        self._table = HostTable(dict.fromkeys((one for one in patterns if one != LOCAL), True))
        self._then = then
        self._misdirected = respond_plainly(421, fields, basis=PERMANENT)
        # An address takes fifteen microseconds, and clients send the same few hosts.
        self._known: Generations[bytes, bool] = Generations(
            entries_limit=_RECALLED_HOSTS, octets_limit=64 * 1024
        )

    def respond(self, request: Request) -> Response | Later:
        """Return the response to a request if its host is allowed, else 421."""
        return self._then(request) if self._allows(select_host(request)) else self._misdirected

    def _allows(self, host: bytes) -> bool:
        if len(host) > _HOST_OCTETS_LIMIT:
            return False
        known = self._known.get(host, len(host))
        if known is None:
            known = bool(self._table.find(host)) or (self._allows_local and is_loopback(host))
            self._known.put(host, known, len(host))
        return known


def split_hosts(text: str) -> tuple[str, ...]:
    """Return the patterns of a list with commas; raise `ValueError` if one is no pattern."""
    patterns = tuple(one.strip() for one in text.split(",") if one.strip())
    if text and not patterns:
        raise ValueError(f"{text!r} names no host")
    for one in patterns:
        if one != LOCAL:
            parse_pattern(one)
    return patterns


def _normalize_literal(name: bytes) -> bytes:
    """Return an address of IPv6 in brackets as it is written in short (RFC 5952); others as they are."""
    try:
        return b"[%b]" % IPv6Address(name[1:-1].decode("ascii")).compressed.encode()
    except ValueError:
        return name


def _mask_brackets(name: bytes) -> bytes:
    """Return a host without the address in brackets, whose colons are no port's."""
    return name.rpartition(b"]")[2] if name.startswith(b"[") else name
