"""RFC 9110 as pure functions: no descriptor, no clock, no file."""
