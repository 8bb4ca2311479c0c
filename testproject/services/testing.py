"""The services as tests need them: in this process, and as fast as possible."""

from __future__ import annotations

import socket
import threading

from django.test import SimpleTestCase, override_settings

from .web import ServicesServer


class ServicesMixin(SimpleTestCase):
    """Runs the services on a free port for each test: ``self.services``."""

    def setUp(self) -> None:
        super().setUp()
        self.services = ServicesServer(port=0, slowness=0)
        thread = threading.Thread(target=self.services.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.services.server_close)
        self.addCleanup(self.services.shutdown)
        self.enterContext(override_settings(SERVICES_URL=f"http://127.0.0.1:{self.services.server_port}"))


def closed_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
