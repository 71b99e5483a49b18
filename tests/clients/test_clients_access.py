"""Other origins and isolation, as a browser has them."""

import base64
import hashlib
from pathlib import Path

import pytest

from chromium import Chromium, find_chromium
from conftest import Serve, Server

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")

MAIN = """
window.shared = async () => {
  if (!crossOriginIsolated) return "not isolated";
  const memory = new WebAssembly.Memory({initial: 1, maximum: 1, shared: true});
  const worker = new Worker("worker.js");
  return await new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(event.message);
    worker.onmessage = () => resolve(Atomics.load(new Int32Array(memory.buffer), 0));
    worker.postMessage(memory);
  });
};
window.ask = async (url, headers) => {
  try {
    const answer = await fetch(url, {headers});
    const names = ["etag", "content-range", "content-length", "accept-ranges"];
    return [answer.status, await answer.text(), names.map((name) => answer.headers.has(name))];
  } catch (error) {
    return error.name;
  }
};
"""
WORKER = """
onmessage = (event) => {
  Atomics.store(new Int32Array(event.data.buffer), 0, 42);
  postMessage("done");
};
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("access") / "site"
    root.mkdir()
    (root / "index.html").write_text("<!doctype html><title>t</title><script src=main.js></script>")
    (root / "main.js").write_text(MAIN)
    (root / "worker.js").write_text(WORKER)
    (root / "data.bin").write_bytes(b"0123456789")
    (root / "favicon.ico").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def isolated(serve_module: Serve, root: Path) -> Server:
    return serve_module(root, "--isolate", "--quiet")


def test_threads_share_memory_on_an_isolated_page(
    chromium: Chromium, isolated: Server, serve: Serve, root: Path
) -> None:
    page = chromium.load(isolated.url + "/", questions={"shared": "shared()"})
    assert page.answers == {"shared": 42}
    assert not page.faults
    other = serve(root, "--quiet")
    assert chromium.load(other.url + "/", questions={"shared": "shared()"}).answers == {
        "shared": "not isolated"
    }


def test_scripts_of_allowed_origins_read_parts_and_tags(
    chromium: Chromium, isolated: Server, serve: Serve, root: Path, tmp_path: Path
) -> None:
    passwords = tmp_path / "passwords"
    digest = base64.b64encode(hashlib.sha1(b"open").digest()).decode()
    passwords.write_text(f"ann:{{SHA}}{digest}\n")
    third = serve(root, "--quiet")
    origins = f"{isolated.url},https://example.com"
    data = serve(root, "--quiet", "--cors", origins, "--auth", str(passwords))
    token = base64.b64encode(b"ann:open").decode()
    # Authorization takes a preflight; a range of this form takes none.
    headers = f"{{Range: 'bytes=2-4', Authorization: 'Basic {token}'}}"
    questions = {
        "allowed": f"ask('{data.url}/data.bin', {headers})",
        "refused": f"ask('{data.url}/data.bin', {{}})",
    }
    for _ in range(2):
        answers = chromium.load(isolated.url + "/", questions=questions).answers
        assert answers["allowed"] == [206, "234", [True, True, True, True]]
        assert answers["refused"][0] == 401
        answers = chromium.load(third.url + "/", questions=questions).answers
        assert answers == {"allowed": "TypeError", "refused": "TypeError"}


def test_scripts_of_any_origin_read_what_is_for_all(
    chromium: Chromium, isolated: Server, serve: Serve, root: Path
) -> None:
    data = serve(root, "--quiet", "--cors", "any")
    questions = {
        "part": f"ask('{data.url}/data.bin', {{Range: 'bytes=2-4'}})",
        "missing": f"ask('{data.url}/none', {{'If-None-Match': '\"x\"'}})",
    }
    answers = chromium.load(isolated.url + "/", questions=questions).answers
    assert answers["part"] == [206, "234", [True, True, True, True]]
    assert answers["missing"][0] == 404
