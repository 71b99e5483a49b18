"""Requests of ACME, signed (RFC 8555 section 6.2, RFC 7515), and the proofs that a host is ours."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from epollo.annotations import Any

_NUMBER_OCTETS = 32


def encode(octets: bytes) -> str:
    """Return octets in base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def dump(document: Any) -> bytes:
    """Return a document as JSON whose keys are sorted, as a thumbprint wants it (RFC 7638)."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def describe_key(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the public half of a P-256 key as a JWK (RFC 7518 section 6.2)."""
    numbers = key.public_key().public_numbers()
    x, y = (encode(one.to_bytes(_NUMBER_OCTETS, "big")) for one in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def sign(
    key: ec.EllipticCurvePrivateKey, url: str, nonce: str, account: str, payload: Any
) -> bytes:
    """Return a request to a URL; without an ``account``, it holds the public key itself.

    A payload of None asks for what is there (POST-as-GET, RFC 8555 section 6.3).
    """
    identity = {"kid": account} if account else {"jwk": describe_key(key)}
    head = encode(dump({"alg": "ES256", "nonce": nonce, "url": url, **identity}))
    content = "" if payload is None else encode(dump(payload))
    signature = key.sign(f"{head}.{content}".encode(), ec.ECDSA(hashes.SHA256()))
    numbers = decode_dss_signature(signature)
    octets = b"".join(one.to_bytes(_NUMBER_OCTETS, "big") for one in numbers)
    return dump({"protected": head, "payload": content, "signature": encode(octets)})


def authorize(key: ec.EllipticCurvePrivateKey, token: str) -> str:
    """Return the key authorization of a token (RFC 8555 section 8.1)."""
    thumbprint = hashlib.sha256(dump(describe_key(key))).digest()
    return f"{token}.{encode(thumbprint)}"
