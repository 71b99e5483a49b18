"""One process that makes content codings for all workers: each content once on a machine."""
