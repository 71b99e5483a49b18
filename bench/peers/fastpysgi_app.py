"""fastpysgi with a folder in memory, as its own entry in HttpArena does: ``fastpysgi_app.py PORT ROOT``.

The server has no files of its own. An application in Python looks a path up among all that it has read,
and takes the .br or .gz beside it if the request allows; that is all it knows of HTTP.
"""

import mimetypes
import sys
from pathlib import Path

import fastpysgi

FILES = {}


def load(root):
    """Read every file below ``root``: a target to its media type and content in each coding."""
    for path in root.rglob("*"):
        if path.is_file() and path.suffix not in {".br", ".gz"}:
            kind = (mimetypes.guess_type(path.name)[0] or "application/octet-stream").encode()
            codings = {}
            for coding, ending in ((b"br", ".br"), (b"gzip", ".gz")):
                beside = path.with_name(path.name + ending)
                if beside.exists():
                    codings[coding] = beside.read_bytes()
            FILES["/" + str(path.relative_to(root))] = (kind, path.read_bytes(), codings)


async def application(scope, _receive, send):
    """Answer from memory."""
    if scope["type"] != "http":
        return
    kind, content, codings = FILES.get(scope["path"], (b"text/plain", b"", {}))
    fields = [[b"content-type", kind]]
    if codings:
        offered = next((v for n, v in scope["headers"] if n.lower() == b"accept-encoding"), b"")
        for coding, coded in codings.items():
            if coding in offered:
                content = coded
                fields.append([b"content-encoding", coding])
                break
    status = 200 if scope["path"] in FILES else 404
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content, "more_body": False})


if __name__ == "__main__":
    load(Path(sys.argv[2]))
    fastpysgi.server.delete_all_binds()
    fastpysgi.server.add_bind("127.0.0.1", int(sys.argv[1]))
    fastpysgi.server.backlog = 8192
    fastpysgi.run(application, workers=1, loglevel=0)
