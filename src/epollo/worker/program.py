"""A worker as a program, ``python -m epollo.worker``: what its supervisor ordered is served.

The supervisor holds the other end of a socket (`orders`): the worker says there when it is ready, is told
there to finish, and stops when the supervisor is gone.
"""

import signal
import socket
import sys

from epollo.access_log.choice import open_log
from epollo.errors import OperatorError, describe_fault, explain
from epollo.settings.dumped import load_settings
from epollo.site.mounts import open_mounts
from epollo.terminal import close_streams, make_streams_nonblocking, open_streams, report
from epollo.transports.listening import adopt
from epollo.worker.orders import LEFT_TO_SUPERVISOR, READY, Orders, load_secrets, read_orders
from epollo.worker.process import Worker


def main() -> None:
    """Serve as the supervisor ordered; it is told of an operator's mistake, and the status is 2."""
    for number in LEFT_TO_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_SUPERVISOR)
    try:
        orders = read_orders()
    except OperatorError as mistake:
        report(str(mistake))
        sys.exit(2)
    # With all arguments: without them, Python asks the system.
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, orders["control"])
    control.setblocking(False)
    control.set_inheritable(False)
    supervisor = Orders(control, has_coder=orders.get("has_coder", False))
    settings = load_settings(orders["settings"])
    open_streams()
    make_streams_nonblocking()
    try:
        listening = adopt(orders["sockets"])
        log = open_log(settings, report, supervisor.take_log_descriptor)
        worker = Worker(
            settings,
            listening,
            report,
            log,
            supervisor,
            mounts=open_mounts(),
            secrets=load_secrets(orders["secrets"]),
            place=orders["place"],
        )
    except OperatorError as mistake:
        supervisor.give_up(str(mistake))
    except OSError as error:
        supervisor.give_up(f"cannot serve {settings.root}: {explain(error)}")
    except Exception as fault:
        supervisor.give_up(describe_fault(fault))
    supervisor.say(READY + f"{worker.poller_name}\n{worker.sandbox}".encode())
    worker.run()
    close_streams()
