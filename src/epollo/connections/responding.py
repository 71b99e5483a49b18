"""How a connection gets a response of the site: at once or later, also if the site fails."""

from epollo.connections.refusing import respond_to_fault
from epollo.connections.service import Service
from epollo.errors import describe_fault
from epollo.http.message import Later, Request, Response


def respond(
    service: Service, request: Request, address: str, head: bytes, later: Later | None = None
) -> tuple[Response | Later, bool]:
    """Return the response to a request, and whether the connection may persist after it.

    If the response has to wait for a result, a `Later` is returned in its place; when that is done, the
    call is made again with it as ``later``. ``address`` is the peer's, as far as it is kept, and
    ``head`` what it sent.
    """
    may_persist = not service.is_draining
    try:
        response = service.respond(request) if later is None else later.conclude()
        while isinstance(response, Later):
            clients = service.clients
            response.begin(clients.find_client(address, head) if clients else address)
            if not response.is_done:
                break
            response = response.conclude()
    except Exception as fault:
        service.report(describe_fault(fault))
        return respond_to_fault(fault), False
    return response, may_persist
