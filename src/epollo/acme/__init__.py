"""Certificates that the parent obtains from an authority by ACME (RFC 8555); workers never do."""

try:
    import cryptography
except ImportError:
    from epollo.errors import OperatorError, describe_missing

    raise OperatorError(f"--acme needs {describe_missing('cryptography')}") from None

__all__ = ["cryptography"]
