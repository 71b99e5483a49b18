"""https as scanners for weaknesses see it: sslyze, and testssl.sh where it is installed."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Authority
from conftest import Server, managed_servers
from tls_libraries import RUSTLS

AUTHORITY = Authority()
ACCEPTED = {
    # Of test certificates, and of a machine without a name in the DNS.
    *("cert_revocation", "DNS_CAArecord"),
    # It leaves at once, and may be gone before the ticket of TLS 1.3 comes: then it has seen nothing.
    "sessionresumption_ticket",
}
"""What testssl.sh finds that no server could mend."""
ACCEPTED_OF_RUSTLS = {"cipher_order"}
"""It follows the client's order of suites, all of which are good."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    path.write_bytes(AUTHORITY.certificate)
    return path


@pytest.fixture(scope="module", params=["ec", "rsa", "both", RUSTLS])
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<title>scanned</title>\n")
    options: tuple[str, ...] = ()
    if request.param == "rustls":
        options = ("--tls-library", "rustls")
    for kind in ("ec", "rsa"):
        if request.param in {kind, "both"} or (request.param, kind) == ("rustls", "ec"):
            made = AUTHORITY.issue("localhost", kind=kind, ends_in_days=85)
            options += made.write(tmp_path_factory.mktemp("certificates"), kind)
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(root, *options, "--hsts", "730d")


@pytest.mark.skipif(importlib.util.find_spec("sslyze") is None, reason="sslyze is not here")
def test_sslyze_finds_mozillas_intermediate_profile(server: Server, authority: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sslyze", "--mozilla_config", "intermediate"),
            *("--certinfo_ca_file", str(authority), f"localhost:{server.port}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"localhost:{server.port}: OK - Compliant." in done.stdout, done.stdout
    for line in ("TLS_FALLBACK_SCSV:                 OK", "Client Renegotiation DoS Attack:   OK"):
        assert line in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("testssl") is None, reason="testssl.sh is not here")
def test_testssl_finds_nothing(
    server: Server, authority: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It takes two minutes, and many times that on a busy machine; no finding is above LOW."""
    report = tmp_path / "report.json"
    subprocess.run(
        [
            *("testssl", "--quiet", "--warnings", "off", "--nodns", "none"),
            *("--add-ca", str(authority), "--jsonfile", str(report), f"localhost:{server.port}"),
        ],
        capture_output=True,
        timeout=3600,
        check=False,
    )
    findings = json.loads(report.read_text())
    accepted = ACCEPTED | (ACCEPTED_OF_RUSTLS if "rustls" in request.node.name else set())
    assert len(findings) > 100
    bad = [
        one
        for one in findings
        if one["severity"] in {"MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN"}
        and one["id"].split(" ")[0] not in accepted
    ]
    assert not bad
