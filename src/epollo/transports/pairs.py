"""Certificates with their keys, as octets: read from files, and passed on to workers."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from epollo.annotations import Final
from epollo.errors import OperatorError
from epollo.linux.regular_files import read_regular_file
from epollo.named_tuples import NamedTuple

TICKET_KEY_OCTETS: Final = 80
"""What OpenSSL takes: a name, a key for authentication, one for encryption (16, 32 and 32 octets)."""
CERTIFICATE_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
CERTIFICATE_END: Final = b"-----END CERTIFICATE-----"
"""The lines around a certificate as PEM (RFC 7468 section 5)."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LIMIT_OCTETS: Final = 1024 * 1024


class Pair(NamedTuple):
    """A certificate with its chain, and its key, both as PEM (RFC 7468)."""

    certificate: bytes
    key: bytes
    place: str
    """Where it comes from, for the operator."""

    def __repr__(self) -> str:
        """Name the place alone: what describes a fault may show any value."""
        return f"Pair({self.place!r})"


class ClientAuthorities(NamedTuple):
    """Which certificates of clients are accepted: those that these authorities signed."""

    certificates: bytes
    """As PEM; lists of what was revoked may be among them."""
    is_required: bool
    """Whether a client without a certificate is refused."""
    place: str
    """Where they come from, for the operator."""


class Secrets(NamedTuple):
    """What a worker needs to speak TLS.

    All workers protect tickets by ``ticket_key``; it is empty if there is only one process. ``tokens``
    and ``proofs`` answer an authority that asks whether a host is ours: by the path of a plain request
    (RFC 8555 section 8.3), and by a certificate for a name (RFC 8737). ``clients`` are the ways in
    which clients are verified; None stands for the way that asks for no certificate.
    """

    pairs: Sequence[Pair]
    ticket_key: bytes = b""
    tokens: Mapping[str, str] = MappingProxyType({})
    proofs: Mapping[str, Pair] = MappingProxyType({})
    clients: tuple[ClientAuthorities | None, ...] = (None,)

    def __repr__(self) -> str:
        """Show no key of tickets."""
        return f"Secrets({self.pairs!r})"


def read_pair(certificate: str, key: str) -> Pair:
    """Return what two files hold. Raises `OperatorError` if one cannot be read."""
    return Pair(_read(certificate), _read(key), certificate)


def _read(path: str) -> bytes:
    try:
        octets = read_regular_file(path, _LIMIT_OCTETS + 1)
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from None
    # An editor of Windows writes it before all else.
    octets = octets.removeprefix(_BYTE_ORDER_MARK)
    if len(octets) > _LIMIT_OCTETS:
        raise OperatorError(f"{path} is no certificate and no key: it is over 1 MiB")
    return octets


def read_pairs(certificates: Sequence[str], keys: Sequence[str]) -> list[Pair]:
    """Return the pairs of these files. Raises `OperatorError` if one cannot be read."""
    return [read_pair(*paths) for paths in zip(certificates, keys, strict=True)]


def read_client_authorities(path: str, mode: str) -> ClientAuthorities | None:
    """Return the authorities of clients that a file holds; None without a path.

    ``mode`` is ``require`` or ``optional``. Raises `OperatorError` if the file cannot be read.
    """
    return ClientAuthorities(_read(path), mode == "require", path) if path else None


def read_clients(ways: Iterable[tuple[str, str]]) -> tuple[ClientAuthorities | None, ...]:
    """Return what the file of each of several ways holds, by `read_client_authorities`."""
    return tuple(read_client_authorities(*way) for way in ways)
