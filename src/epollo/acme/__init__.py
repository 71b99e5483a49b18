"""Certificates obtained from an authority by ACME (RFC 8555): in the parent, never in a worker."""

try:
    import cryptography
except ImportError:
    from epollo.errors import OperatorError

    raise OperatorError(
        "--acme needs the package cryptography: pip install 'epollo[tls]'"
    ) from None

__all__ = ["cryptography"]
