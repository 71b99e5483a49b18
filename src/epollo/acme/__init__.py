"""Certificates that the parent obtains from an authority by ACME (RFC 8555); workers never do."""

try:
    import cryptography
except ImportError:
    from epollo.errors import OperatorError

    raise OperatorError(
        "--acme needs the package cryptography: pip install 'epollo[tls]'"
    ) from None

__all__ = ["cryptography"]
