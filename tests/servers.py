"""Small local servers for tests: files with ranges, that can break off."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileHandler(BaseHTTPRequestHandler):
    """Gives out the files of ``server.root``; the connection breaks after ``server.budget`` bytes of bodies."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        path = self.server.root / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        data = path.read_bytes()
        start = (
            int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            if self.server.ranges
            else 0
        )
        if start >= len(data) and start:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.server.budget is not None:
            body, self.server.budget = body[: self.server.budget], max(0, self.server.budget - len(body))
        self.wfile.write(body)
        self.close_connection = True


@contextmanager
def serving(handler, **state):
    """A server on a free port; ``server.url`` is its address, ``server.requests`` what was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.requests, server.budget, server.ranges = [], None, True
    for name, value in state.items():
        setattr(server, name, value)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
