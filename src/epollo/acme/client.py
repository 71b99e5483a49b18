"""A client of ACME (RFC 8555): directory, account, order, challenges, certificate.

Every call waits for the authority, so this is for a thread. What the authority refuses, and what the
network does, is an `AcmeError` in one line.
"""

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from epollo.acme.messages import authorize, encode, sign

_TIMEOUT_SECONDS: Final = 30.0
_REPLY_OCTETS_LIMIT: Final = 1024 * 1024
_NONCE_ATTEMPTS: Final = 12
_POLLS_LIMIT: Final = 60
_POLL_SECONDS: Final = 1.0
_LONGEST_POLL_SECONDS: Final = 10.0
_BAD_NONCE: Final = "urn:ietf:params:acme:error:badNonce"
_SHOWN_CHARACTERS: Final = 300


class AcmeError(Exception):
    """The authority did not do what it was asked for.

    ``retry_seconds`` is when it wants to be asked again; 0 where it does not say.
    """

    def __init__(self, text: str, retry_seconds: float = 0.0) -> None:
        super().__init__(" ".join(text.split())[:_SHOWN_CHARACTERS])
        self.retry_seconds = retry_seconds


class Reply(NamedTuple):
    """What the authority answered: JSON as a document, anything else as octets."""

    status: int
    headers: http.client.HTTPMessage
    document: Any


class Challenge(NamedTuple):
    """How a host may be proven to be ours: ``kind`` is ``http-01`` or ``tls-alpn-01``."""

    kind: str
    name: str
    token: str
    authorization: str


class Client:
    """One account at one authority.

    ``wait`` waits some seconds, and raises where there is no time left.
    """

    def __init__(
        self,
        directory_url: str,
        key: ec.EllipticCurvePrivateKey,
        context: ssl.SSLContext,
        wait: Callable[[float], None],
    ) -> None:
        """Raise `AcmeError` where the authority cannot be reached."""
        self._key = key
        self._context = context
        self._wait = wait
        self._account = ""
        self._nonce = ""
        self._directory: dict[str, Any] = self._fetch("GET", directory_url).document
        if not isinstance(self._directory, dict) or "newOrder" not in self._directory:
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
    ) -> bytes:
        """Return a certificate for names, with its chain, as PEM.

        ``request`` is a signing request (DER). ``prove`` has a challenge of the first of ``kinds`` that
        the authority offers be answered; with None, no longer.
        """
        order: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile:
            order["profile"] = profile
        made = self._post(self._directory["newOrder"], order)
        place = made.headers["Location"] or ""
        try:
            for url in made.document["authorizations"]:
                self._prove(url, kinds, prove)
        finally:
            prove(None)
        self._await(place, "ready", "valid")
        self._post(made.document["finalize"], {"csr": encode(request)})
        issued = self._await(place, "valid")
        chain = self._post(issued["certificate"], None).document
        if not isinstance(chain, bytes):
            raise AcmeError("the authority sent no certificate")
        return chain

    def find_window(self, certificate_id: str) -> tuple[str, str] | None:
        """Return when the authority wants a certificate renewed, first and last (RFC 9773).

        As RFC 3339 writes instants; None where it does not say.
        """
        base = self._directory.get("renewalInfo")
        if not isinstance(base, str):
            return None
        window = self._fetch("GET", f"{base}/{certificate_id}").document["suggestedWindow"]
        return window["start"], window["end"]

    def _prove(
        self, url: str, kinds: Sequence[str], prove: Callable[[Challenge | None], None]
    ) -> None:
        """Prove that one host is ours (RFC 8555 section 7.5.1)."""
        document = self._post(url, None).document
        if document["status"] == "valid":
            return
        name = document["identifier"]["value"]
        offered = {one["type"]: one for one in document["challenges"]}
        kind = next((one for one in kinds if one in offered), None)
        if kind is None:
            raise AcmeError(
                f"the authority offers no challenge for {name} that can be answered here"
            )
        chosen = offered[kind]
        token = chosen["token"]
        prove(Challenge(kind, name, token, authorize(self._key, token)))
        self._post(chosen["url"], {})
        self._await(url, "valid")

    def _await(self, url: str, *wanted: str) -> dict[str, Any]:
        """Ask again and again until the state is one of those that are wanted."""
        for _ in range(_POLLS_LIMIT):
            reply = self._post(url, None)
            document: dict[str, Any] = reply.document
            if document["status"] in wanted:
                return document
            if document["status"] == "invalid":
                raise AcmeError(_find_reason(document))
            self._wait(min(_read_retry(reply) or _POLL_SECONDS, _LONGEST_POLL_SECONDS))
        raise AcmeError(f"the authority did not finish: {wanted[0]} was not reached")

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
                raise AcmeError(_describe(problem, reply.status), _read_retry(reply))
        raise AcmeError("the authority refused every nonce")

    def _fetch(self, method: str, url: str, content: bytes | None = None) -> Reply:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https":
            raise AcmeError(f"the authority is not reached by https: {url}")
        headers = {"User-Agent": "epollo"}
        if content is not None:
            headers["Content-Type"] = "application/jose+json"
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPSConnection(
            parts.netloc, timeout=_TIMEOUT_SECONDS, context=self._context
        )
        try:
            connection.request(method, target or "/", content, headers)
            response = connection.getresponse()
            octets = response.read(_REPLY_OCTETS_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or repr(error)
            raise AcmeError(f"{parts.netloc} cannot be reached: {reason}") from None
        finally:
            connection.close()
        self._nonce = response.headers["Replay-Nonce"] or self._nonce
        kind = response.headers.get_content_type()
        document: Any = octets
        if kind in {"application/json", "application/problem+json"}:
            try:
                document = json.loads(octets)
            except ValueError:
                raise AcmeError(f"{parts.netloc} sent what is no JSON") from None
        if method == "GET" and response.status >= 400:
            raise AcmeError(f"{parts.netloc} answered {response.status}")
        return Reply(response.status, response.headers, document)


def _read_retry(reply: Reply) -> float:
    """Return how many seconds the authority wants to be left alone; 0 where it does not say."""
    value = reply.headers["Retry-After"] or ""
    return float(value) if value.isascii() and value.isdigit() else 0.0


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
