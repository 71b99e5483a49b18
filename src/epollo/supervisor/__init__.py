"""The parent of workers: it holds the listening sockets, and keeps the workers running that serve."""

from epollo.supervisor.listening_sockets import Listening, open_listening
from epollo.supervisor.supervisor import Supervisor
from epollo.supervisor.upgrade import take_over

__all__ = ["Listening", "Supervisor", "open_listening", "take_over"]
