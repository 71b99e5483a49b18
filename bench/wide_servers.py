"""The servers of the wide benchmark that the other one has not, or has in another way."""

from pathlib import Path
from typing import Final

from servers import HERE, SERVERS, Order, Plan, Server, first_line


def _peer_python(peers: Path | None) -> str:
    return str(peers / "bin" / "python") if peers is not None else "python3"


def _find_fastpysgi(_python: str, peers: Path | None) -> str | None:
    code = "import importlib.metadata as m; print('fastpysgi', m.version('fastpysgi'))"
    said = first_line(_peer_python(peers), "-c", code)
    return said if said and said.startswith("fastpysgi") else None


def _plan_fastpysgi(order: Order) -> Plan:
    program = str(HERE / "peers" / "fastpysgi_app.py")
    return Plan([_peer_python(order.peers), program, str(order.port), str(order.site)])


WIDE_SERVERS: Final = (
    *(server for server in SERVERS if server.name in {"epollo", "nginx", "h2o", "lighttpd"}),
    Server("fastpysgi", "fastpysgi", _find_fastpysgi, _plan_fastpysgi),
)
