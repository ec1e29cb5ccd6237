"""An echo of JSON, as one writes it with Starlette and serves it with uvicorn."""

from __future__ import annotations

import subprocess
import sys

from load import load_of, pinned
from protocol import Run, serve

CONNECTIONS = 64
SERVER = """
import os, socket, sys, threading
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def echo(request):
    return JSONResponse(await request.json())

def end_with_the_load():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_the_load, daemon=True).start()
# Named as TCP, as uvicorn does with a host and a port: else asyncio leaves it to wait 40 ms for acknowledgements.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print(listener.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/", echo, methods=["POST"])])
config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=600)  # others have their turns
uvicorn.Server(config).run(sockets=[listener])
"""


def gateway() -> Run:
    pinned(0)
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    pinned(1)
    return load_of(port, CONNECTIONS)


serve({"gateway": gateway})
