"""The folder that is served: from a target to a response."""
