"""The parent of workers: it holds the listening sockets, serves no one, and sees to it that they do."""

from epollo.supervisor.listening_sockets import Listening, open_listening
from epollo.supervisor.supervisor import Supervisor
from epollo.supervisor.upgrade import take_over

__all__ = ["Listening", "Supervisor", "open_listening", "take_over"]
