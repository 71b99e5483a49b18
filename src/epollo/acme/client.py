"""A client of ACME (RFC 8555): directory, account, order, challenges, certificate.

Every call waits for the authority, so this is for a thread. If the authority refuses or the network
fails, `AcmeError` says so in one line.
"""

import contextlib
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from epollo.acme.exchange import AcmeError, Cancellation, Exchanges, Reply
from epollo.acme.messages import authorize, encode, sign
from epollo.annotations import Any, Final
from epollo.named_tuples import NamedTuple

_PATIENCE_SECONDS: Final = 600.0
"""The longest that an order, or the proof of a host, may take."""
_NONCE_ATTEMPTS: Final = 12
_POLL_SECONDS: Final = 1.0
_LONGEST_POLL_SECONDS: Final = 10.0
_RESOURCES: Final = ("newNonce", "newAccount", "newOrder")
"""The resources that are used here, by their names in a directory (RFC 8555 section 7.1.1)."""
_BAD_NONCE: Final = "urn:ietf:params:acme:error:badNonce"
_NOT_REPLACED: Final = frozenset(
    f"urn:ietf:params:acme:error:{name}"
    for name in ("alreadyReplaced", "malformed", "unauthorized")
)
"""Why an authority may refuse an order that says what it replaces (RFC 9773 section 5)."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,512}")


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """Raise `AcmeError` if a document lacks something, or has it in another type."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise AcmeError("the authority answered what is not as ACME has it (RFC 8555)") from None


class Challenge(NamedTuple):
    """How a host may be proven to be ours: ``kind`` is ``http-01`` or ``tls-alpn-01``."""

    kind: str
    name: str
    token: str
    authorization: str


class Client:
    """One account at one authority.

    ``wait`` waits some seconds, and raises where there is no time left. ``cancellation`` ends exchanges
    from another thread.
    """

    def __init__(
        self,
        directory_url: str,
        key: ec.EllipticCurvePrivateKey,
        context: ssl.SSLContext,
        wait: Callable[[float], None],
        cancellation: Cancellation | None = None,
    ) -> None:
        """Raise `AcmeError` if the authority cannot be reached."""
        self._key = key
        self._exchanges = Exchanges(context, cancellation or Cancellation())
        self._wait = wait
        self._account = ""
        self._nonce = ""
        self._directory: dict[str, Any] = self._fetch("GET", directory_url).document
        if not isinstance(self._directory, dict) or not all(
            isinstance(self._directory.get(name), str) for name in _RESOURCES
        ):
            raise AcmeError(f"{directory_url} is no directory of ACME")

    def register(self, email: str) -> None:
        """Make the account, or find the one that has this key (RFC 8555 section 7.3)."""
        contact = {"contact": [f"mailto:{email}"]} if email else {}
        reply = self._post(self._directory["newAccount"], {"termsOfServiceAgreed": True, **contact})
        self._account = reply.headers["Location"] or ""

    def obtain(
        self,
        names: Sequence[str],
        request: bytes,
        kinds: Sequence[str],
        prove: Callable[[Challenge | None], None],
        *,
        profile: str = "",
        replaced: str = "",
    ) -> bytes:
        """Return a certificate for names, with its chain, as PEM.

        ``request`` is a signing request (DER). ``prove`` begins to answer a challenge, of the first of
        ``kinds`` that the authority offers; called with None, it ends that. ``replaced`` is what the
        authority calls the certificate that this one renews (`identify`); empty if it renews none.
        Raises `AcmeError`.
        """
        order: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile:
            order["profile"] = profile
        with _understanding():
            made = self._order(order, replaced)
            place = made.headers["Location"] or ""
            authorizations = made.document["authorizations"]
            if len(authorizations) > len(names):
                raise AcmeError("the authority wants more proofs than there are hosts")
            try:
                for url in authorizations:
                    self._prove(url, names, kinds, prove)
            finally:
                prove(None)
            self._await(place, "ready", "valid")
            self._post(made.document["finalize"], {"csr": encode(request)})
            issued = self._await(place, "valid")
            chain = self._post(issued["certificate"], None).document
        if not isinstance(chain, bytes):
            raise AcmeError("the authority sent no certificate")
        return chain

    def _order(self, order: dict[str, Any], replaced: str) -> Reply:
        """Make an order, which says what it replaces if the authority knows of that (RFC 9773 section 5).

        Some limits of authorities do not count for renewals. An authority refuses that if the former
        certificate was replaced already, or is another account's: then the order says nothing of it.
        """
        url = self._directory["newOrder"]
        if replaced and isinstance(self._directory.get("renewalInfo"), str):
            try:
                return self._post(url, {**order, "replaces": replaced})
            except AcmeError as error:
                if error.kind not in _NOT_REPLACED:
                    raise
        return self._post(url, order)

    def find_window(self, certificate_id: str) -> tuple[str, str] | None:
        """Return when the authority wants a certificate renewed, first and last (RFC 9773).

        Both are written as in RFC 3339; None if the authority does not say.
        """
        base = self._directory.get("renewalInfo")
        if not isinstance(base, str):
            return None
        with _understanding():
            window = self._fetch("GET", f"{base}/{certificate_id}").document["suggestedWindow"]
            return str(window["start"]), str(window["end"])

    def _prove(
        self,
        url: str,
        names: Sequence[str],
        kinds: Sequence[str],
        prove: Callable[[Challenge | None], None],
    ) -> None:
        """Prove that one host is ours (RFC 8555 section 7.5.1)."""
        document = self._post(url, None).document
        if document["status"] == "valid":
            return
        name = document["identifier"]["value"]
        if name not in names:
            # A host without an order needs no message.
            raise AcmeError(f"the authority wants a proof for {name}, which is not asked for")
        offered = {one["type"]: one for one in document["challenges"]}
        kind = next((one for one in kinds if one in offered), None)
        if kind is None:
            raise AcmeError(
                f"the authority offers no challenge for {name} that can be answered here"
            )
        chosen = offered[kind]
        token = chosen["token"]
        if _TOKEN.fullmatch(token) is None:
            raise AcmeError("the authority sent a token that is none (RFC 8555 section 8)")
        prove(Challenge(kind, name, token, authorize(self._key, token)))
        self._post(chosen["url"], {})
        self._await(url, "valid")

    def _await(self, url: str, *wanted: str) -> dict[str, Any]:
        """Ask again and again until the state is a wanted one."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            reply = self._post(url, None)
            document: dict[str, Any] = reply.document
            if document["status"] in wanted:
                return document
            if document["status"] == "invalid":
                raise AcmeError(_find_reason(document))
            self._wait(min(reply.read_retry() or _POLL_SECONDS, _LONGEST_POLL_SECONDS))
        raise AcmeError(f"the authority did not finish: {wanted[0]} was not reached")

    def _fetch(self, method: str, url: str, content: bytes | None = None) -> Reply:
        """Make an exchange, and keep the nonce for the next request (RFC 8555 section 6.5)."""
        reply = self._exchanges.fetch(method, url, content)
        self._nonce = reply.headers["Replay-Nonce"] or self._nonce
        if method == "GET" and reply.status >= 400:
            raise AcmeError(f"{url} is answered with status {reply.status}")
        return reply

    def _post(self, url: str, payload: Any) -> Reply:
        """Send a signed request; a nonce that was refused is tried again (RFC 8555 section 6.5)."""
        for _ in range(_NONCE_ATTEMPTS):
            if not self._nonce:
                self._fetch("HEAD", self._directory["newNonce"])
            nonce, self._nonce = self._nonce, ""
            reply = self._fetch("POST", url, sign(self._key, url, nonce, self._account, payload))
            if reply.status < 400:
                return reply
            problem = reply.document if isinstance(reply.document, dict) else {}
            if problem.get("type") != _BAD_NONCE:
                with _understanding():
                    raise AcmeError(
                        _describe(problem, reply.status),
                        reply.read_retry(),
                        str(problem.get("type", "")),
                    )
        raise AcmeError("the authority refused every nonce")


def _describe(problem: dict[str, Any], status: int) -> str:
    """Return in words what a problem document says (RFC 9457)."""
    texts = [str(problem.get("detail") or f"status {status}")]
    texts += [
        f"{one.get('identifier', {}).get('value', '')}: {one.get('detail', '')}"
        for one in problem.get("subproblems", ())
    ]
    return "; ".join(texts)


def _find_reason(document: dict[str, Any]) -> str:
    """Return in words why an order or an authorization is invalid."""
    name = document.get("identifier", {}).get("value", "")
    problems = [one["error"] for one in document.get("challenges", ()) if "error" in one]
    problems += [document["error"]] if "error" in document else []
    reasons = [_describe(problem, 0) for problem in problems] or ["the order is invalid"]
    return ": ".join(filter(None, (name, "; ".join(reasons))))
