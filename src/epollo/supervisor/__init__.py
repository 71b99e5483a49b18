"""The parent of workers: it holds the listening sockets, and keeps the workers running that serve."""
