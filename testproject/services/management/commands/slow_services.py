import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from services.web import ServicesServer


class Command(BaseCommand):
    help = "An ERP, a gazetteer and a push gateway that take their time, on one HTTP port of 127.0.0.1."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            server = ServicesServer(settings.SERVICES_PORT)
        except OSError as error:
            raise CommandError(f"Port {settings.SERVICES_PORT} cannot be used: {error.strerror}") from error
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
        with server:
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                pass
