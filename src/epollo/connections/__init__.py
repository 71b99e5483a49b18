"""Peers: who accepts them, what is owed to each, and the answers that are recalled for all."""
