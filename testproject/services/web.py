"""The slow HTTP services: an ERP, a gazetteer and a push gateway in one small server."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from social.geography import nearest_city

SECONDS = {"/invoices": 0.9, "/stock-movements": 0.9, "/pushes": 0.2, "/place": 0.5, "/facts": 0.0}
"""How long each answer takes."""


class ServicesServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1. ``slowness`` multiplies `SECONDS`; tests set it to 0.

    ``bookings`` is what was done: (path, idempotency key) → what was sent. ``calls`` counts every request, those that
    were repeated too.
    """

    daemon_threads = True

    def __init__(self, port: int, slowness: float = 1.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.slowness = slowness
        self.calls: Counter[str] = Counter()
        self.bookings: dict[tuple[str, str], dict[str, Any]] = {}
        self._numbers: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def facts(self) -> dict[str, int]:
        """How much was done, and how many requests came for it."""
        with self._lock:
            done = Counter(path for path, _key in self.bookings)
            return {
                "invoices": done["/invoices"],
                "stock_movements": done["/stock-movements"],
                "pushes": done["/pushes"],
                "places": self.calls["/place"],
                "erp_calls": self.calls["/invoices"] + self.calls["/stock-movements"],
            }

    def counted(self, path: str) -> None:
        """Count a call, and take the time it takes."""
        with self._lock:
            self.calls[path] += 1
        time.sleep(SECONDS[path] * self.slowness)

    def book(self, path: str, key: str, data: dict[str, Any]) -> tuple[str, bool]:
        """Do it once: the number of the booking under ``key``, and whether it is new."""
        with self._lock:
            new = (path, key) not in self.bookings
            if new:
                self.bookings[path, key] = data
                self._numbers[path, key] = f"{path[1:3].upper()}-{1000 + len(self.bookings)}"
            return self._numbers[path, key], new


class _Handler(BaseHTTPRequestHandler):
    server: ServicesServer
    timeout = 10

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path not in ("/place", "/facts"):
            return self._answer(HTTPStatus.NOT_FOUND, {"error": "There is no such service"})
        self.server.counted(url.path)
        if url.path == "/facts":
            return self._answer(HTTPStatus.OK, self.server.facts())
        try:
            query = parse_qs(url.query)
            place = nearest_city(float(query["latitude"][0]), float(query["longitude"][0]))
        except (KeyError, ValueError):
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "latitude and longitude must be numbers"})
        return self._answer(HTTPStatus.OK, {"place": place})

    def do_POST(self) -> None:
        key = self.headers.get("Idempotency-Key", "")
        if self.path not in ("/invoices", "/stock-movements", "/pushes"):
            return self._answer(HTTPStatus.NOT_FOUND, {"error": "There is no such service"})
        if not key:
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing"})
        try:
            data = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        except ValueError:
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "The body is not JSON"})
        self.server.counted(self.path)
        number, new = self.server.book(self.path, key, data)
        return self._answer(HTTPStatus.CREATED if new else HTTPStatus.OK, {"number": number, "new": new})

    def _answer(self, status: HTTPStatus, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the site shows what arrived."""
