"""The wire, without input or output: octets in, requests out; responses in, octets out."""
