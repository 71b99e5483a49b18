"""What a start loads: nothing that only another kind of server needs."""

import subprocess
import sys

import pytest

_LIST = "import sys; import {}; print(*sys.modules)"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "epollo.cli",
            (
                *("epollo.worker.process", "epollo.supervisor.supervisor", "epollo.lab"),
                *("epollo.site.catalogue", "epollo.connections.http1", "brotli", "tomllib"),
                *("ssl", "cryptography", "asyncio"),
            ),
        ),
        (
            "epollo.cli, epollo.supervisor.supervisor",
            ("epollo.site.catalogue", "epollo.connections.http1", "brotli", "tomllib", "ssl"),
        ),
        (
            "epollo.worker.process",
            ("click", "epollo.cli", "epollo.supervisor", "tomllib", "ssl", "cryptography"),
        ),
    ],
    ids=["any", "parent", "worker"],
)
def test_a_start_loads_what_it_needs(module: str, absent: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIST.format(module)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert module.rsplit(", ", maxsplit=1)[-1] in loaded
    assert not loaded.intersection(absent)
