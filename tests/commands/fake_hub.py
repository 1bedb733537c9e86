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


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub of its server; only requests with the token."""

    @property
    def hub(self) -> FakeHub:
        made: Any = self.server
        return made.hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.is_known():
            return
        if self.path == "/api/repos/create":
            self.answer(200, self.hub.create(json.loads(body)))
        elif self.path == "/api/validate-yaml":  # of a README.md
            self.answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            how = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer(200, {"files": [{"path": each["path"], **how} for each in asked]})
        elif "/commit/" in self.path:
            repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            lines = [json.loads(line) for line in body.decode().splitlines()]
            self.answer(200, self.hub.commit(repo, lines))
        else:
            self.answer(404, {"error": f"no {self.path}"})

    def do_GET(self) -> None:
        if self.is_known():
            name = self.path.removeprefix("/api/models/").partition("/revision/")[0]
            self.answer(200, {"id": name, "sha": "0" * 40, "siblings": []})

    def is_known(self) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if not known:
            self.answer(401, {"error": "Invalid username or password."})
        return known

    def answer(self, code: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@contextmanager
def serving(token: str) -> Iterator[FakeHub]:
    """Serve on a free port."""
    hub = FakeHub(token)
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = hub
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
