"""Starlette's StaticFiles as uvicorn serves it; BENCH_GZIP=1 compresses on the fly."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

app = Starlette(
    routes=[Mount("/", StaticFiles(directory=os.environ["BENCH_ROOT"]))],
    middleware=[Middleware(GZipMiddleware)] if os.environ["BENCH_GZIP"] == "1" else [],
)
