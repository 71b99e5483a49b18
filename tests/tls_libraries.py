"""The libraries of TLS, for tests that hold with each of them."""

import importlib.util

import pytest

HAS_RUSTLS = importlib.util.find_spec("rtls") is not None
needs_rustls = pytest.mark.skipif(not HAS_RUSTLS, reason="rtls is not here")
RUSTLS = pytest.param("rustls", marks=needs_rustls)
each_library = pytest.mark.parametrize("library", ["openssl", RUSTLS])
