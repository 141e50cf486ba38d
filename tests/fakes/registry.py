"""A schema registry on loopback that knows what the connector asks: Confluent's REST API, in memory, in a thread."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.ports import HOST, free_ports


@dataclass
class Shelf:
    """What the registry holds; it outlives a restart."""

    by_subject: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def id_of(self, text: str) -> int | None:
        wanted = json.loads(text)
        return next((known for known, kept in self.texts.items() if json.loads(kept) == wanted), None)

    def put(self, subject: str, text: str) -> int:
        found = self.id_of(text)
        if found is None:
            found = len(self.texts) + 1
            self.texts[found] = text
        versions = self.by_subject.setdefault(subject, [])
        if found not in versions:
            versions.append(found)
        return found

    def entry(self, subject: str, schema_id: int) -> dict[str, object]:
        version = self.by_subject[subject].index(schema_id) + 1
        return {"subject": subject, "version": version, "id": schema_id, "schema": self.texts[schema_id]}

    def objections(self, subject: str, text: str) -> list[str]:
        """Why the newest version's records could not be read with a schema: the rule BACKWARD, for flat records."""
        versions = self.by_subject.get(subject)
        if not versions:
            return []
        old, new = (_fields(each) for each in (self.texts[versions[-1]], text))
        return [
            f"READER_FIELD_MISSING_DEFAULT_VALUE at /fields/{name}"
            for name, known in new.items()
            if name not in old and "default" not in known
        ] + [
            f"TYPE_MISMATCH at /fields/{name}"
            for name, known in new.items()
            if name in old and known["type"] != old[name]["type"]
        ]


def _fields(text: str) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(text)["fields"]}


@dataclass
class FakeRegistry:
    """The server, from ``start`` to ``stop``; both may be called again and again.

    Attributes:
        shelf: what it holds.
        authorization: the header that it demands, or None.
        tls: serves by it, or in clear text.
        broken: answers everything with this status, or None.
        asked: method and path of every request.
    """

    shelf: Shelf = field(default_factory=Shelf)
    authorization: str | None = None
    tls: ssl.SSLContext | None = None
    broken: int | None = None
    asked: list[str] = field(default_factory=list)
    _port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, at the same address as before."""
        self._port = self._port or free_ports(1)[0]
        registry = self

        class Handler(_Handler):
            fake = registry

        self._server = _Server((HOST, self._port), Handler)
        if self.tls is not None:
            # The handshake belongs to the connection's own thread: one that hangs must not hold up the others.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening; nobody answers any more."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Not there for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or fails in its handshake, is no news."""


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRegistry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base has it so
        """Silent."""

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["content-length"])))["schema"])

    def _serve(self, text: str | None) -> None:
        self.fake.asked.append(f"{self.command} {self.path}")
        if self.fake.broken is not None:
            self._answer(self.fake.broken, {"error_code": 50001, "message": "Error in the backend data store"})
        elif self.fake.authorization is not None and self.headers["authorization"] != self.fake.authorization:
            self._answer(401, {"error_code": 40101, "message": "Unauthorized"})
        else:
            with self.fake.shelf.lock:
                self._answer(*self._result([unquote(part) for part in urlsplit(self.path).path.split("/")[1:]], text))

    def _result(self, path: list[str], text: str | None) -> tuple[int, object]:
        shelf = self.fake.shelf
        match path:
            case ["subjects"]:
                return 200, list(shelf.by_subject)
            case ["schemas", "ids", wanted]:
                kept = shelf.texts.get(int(wanted))
                return (200, {"schema": kept}) if kept is not None else _missing(40403, f"Schema {wanted}")
            case ["subjects", subject, "versions"] if text is not None:
                objections = shelf.objections(subject, text)
                if objections:
                    return 409, {"error_code": 409, "message": f"Schema being registered is incompatible {objections}"}
                return 200, {"id": shelf.put(subject, text)}
            case ["compatibility", "subjects", subject, "versions"] if text is not None:
                objections = shelf.objections(subject, text)
                return 200, {"is_compatible": not objections, "messages": objections}
            case ["subjects", subject, *_] if subject not in shelf.by_subject:
                return _missing(40401, f"Subject '{subject}'")
            case ["subjects", subject, "versions", "latest"]:
                return 200, shelf.entry(subject, shelf.by_subject[subject][-1])
            case ["subjects", subject] if text is not None:
                found = shelf.id_of(text)
                if found is None or found not in shelf.by_subject[subject]:
                    return _missing(40403, "Schema")
                return 200, shelf.entry(subject, found)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _missing(code: int, what: str) -> tuple[int, object]:
    return 404, {"error_code": code, "message": f"{what} not found."}
