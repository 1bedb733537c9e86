"""A Hugging Face Hub on this machine, as far as an upload needs one."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeHub:
    """What was asked of it, and what it holds."""

    token: str
    address: str = ""
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"{body.get('organization') or 'me'}/{body['name']}"
        self.repos[name] = body
        self.files.setdefault(name, {})
        return {"url": f"{self.address}/{name}", "name": name, "id": name}

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
        for line in lines:
            if line["key"] == "file":
                value = line["value"]
                assert value["encoding"] == "base64"
                self.files[repo][value["path"]] = base64.b64decode(value["content"])
        oid = "0" * 40
        return {
            "success": True,
            "commitOid": oid,
            "commitUrl": f"{self.address}/{repo}/commit/{oid}",
        }


@contextmanager
def serving(token: str) -> Iterator[FakeHub]:
    """Serve on a free port; only requests with the token are answered."""
    hub = FakeHub(token)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                self.answer(401, {"error": "Invalid username or password."})
            elif self.path == "/api/repos/create":
                self.answer(200, hub.create(json.loads(body)))
            elif "/preupload/" in self.path:
                asked = json.loads(body)["files"]
                kept = [
                    {"path": e["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for e in asked
                ]
                self.answer(200, {"files": kept})
            else:
                repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
                lines = [json.loads(line) for line in body.decode().splitlines()]
                self.answer(200, hub.commit(repo, lines))

        def do_GET(self) -> None:
            self.answer(200, {"sha": "0" * 40, "siblings": []})

        def answer(self, code: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
