"""Peers: how they are accepted, what is owed to each, and the answers that are recalled for all."""
