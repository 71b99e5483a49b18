"""The parent of workers: it holds the listening sockets, serves no one, and sees to it that they do."""

from epollo.supervisor.listening_sockets import Asked, Listening
from epollo.supervisor.supervisor import Supervisor
from epollo.supervisor.upgrade import take_over

__all__ = ["Asked", "Listening", "Supervisor", "take_over"]
