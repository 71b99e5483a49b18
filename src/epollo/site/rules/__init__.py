"""What a site says of its paths in ``_headers`` and ``_redirects``: read, compiled, matched."""
