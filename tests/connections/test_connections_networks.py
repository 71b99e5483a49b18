"""Networks of proxies, as an operator names them."""

import pytest

from epollo.connections.networks import parse_networks
from epollo.errors import OperatorError


def test_what_is_within_is_found_out_once_and_stays_so() -> None:
    networks = parse_networks("10.0.0.1, 192.0.2.0/24,2001:db8::/32")
    within = ("10.0.0.1", "192.0.2.255", "2001:db8::1", "")
    without = ("10.0.0.2", "192.0.3.0", "2001:db9::", "::ffff:10.0.0.1", "nothing")
    for _ in range(2):
        assert [address for address in within + without if networks.has(address)] == [*within]


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.1,"])
def test_no_networks(text: str) -> None:
    with pytest.raises(OperatorError, match="no address and no network"):
        parse_networks(text)
