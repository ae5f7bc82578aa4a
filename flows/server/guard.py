"""Prefect's server behind a guard: ``python -m flows.server.guard HOST PORT``.

Any page that is open in a browser can send requests to a server on the same machine, and Prefect's answers all of them;
a deployment's steps may run shell commands. So what comes from another page is refused (its ``Origin``), and what asks
for another machine's name (its ``Host``: DNS rebinding makes a foreign name point here). Programs send no ``Origin``.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost")
LOOPBACK = (*LOCAL, "[::1]")
REFUSED = b"refused: this server answers its own page and programs of this machine only"

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class OwnPageOnly:
    """ASGI middleware that refuses requests and web sockets of foreign pages and for foreign names, with 403.

    Args:
        app: what is guarded.
        host: name or address that the server listens on.
        port: of the server; pages of other ports are foreign, too.
    """

    def __init__(self, app: App, *, host: str, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in (*LOOPBACK, host)}
        self.origins = {f"http://{name}" for name in self.hosts}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass on what is our own; ``lifespan`` is nobody's request."""
        if scope["type"] not in ("http", "websocket") or self.is_own(dict(scope["headers"])):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            head = [(b"content-type", b"text/plain"), (b"content-length", str(len(REFUSED)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": REFUSED})

    def is_own(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request names this server, and comes from its page or from a program."""
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
        return host in self.hosts and (origin is None or origin.decode("latin-1") in self.origins)


def own_origins(url: str) -> str:
    """What Prefect's ``cors_allowed_origins`` should be for a page.

    Example:
        >>> own_origins("http://127.0.0.1:4200")
        'http://127.0.0.1:4200,http://localhost:4200'
    """
    port = urlsplit(url).port
    return ",".join(dict.fromkeys((url, *(f"http://{name}:{port}" for name in LOCAL))))


def main() -> None:
    """Start Prefect's server in this process, guarded."""
    host, port = sys.argv[1:]
    from prefect.server.api import server

    create_app = server.create_app

    def guarded(*args: Any, **options: Any) -> Any:
        app = create_app(*args, **options)
        app.add_middleware(OwnPageOnly, host=host, port=int(port))
        return app

    server.create_app = guarded
    from prefect.cli import app

    sys.argv = ["prefect", "server", "start", "--host", host, "--port", port]
    app()


if __name__ == "__main__":
    main()
