"""BLAKE2b (RFC 7693) as `hashlib` has it, without what else that loads.

Fact: `hashlib` maps the library of OpenSSL, which takes a fiftieth of a start, and three megabytes. Its
BLAKE2b is not that of OpenSSL, but the interpreter's own.
Decision: it is imported from where `hashlib` has it from.
Price: a name that CPython does not promise; without it, `hashlib` is loaded.
"""

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

__all__ = ["blake2b"]
