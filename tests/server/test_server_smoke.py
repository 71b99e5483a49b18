"""The whole way once: a real process, a real client."""

import urllib.request
from pathlib import Path

from conftest import Serve


def test_index_is_served_and_the_server_stops_cleanly(serve: Serve, site: Path) -> None:
    server = serve(site, "--quiet")
    with urllib.request.urlopen(server.url + "/") as answer:
        assert answer.status == 200
        assert answer.read() == (site / "index.html").read_bytes()
    assert server.stop() == 0
    assert server.stderr == ""
