"""epollo: a static web server written straight on Linux's epoll."""

__version__ = "0.1.0"
