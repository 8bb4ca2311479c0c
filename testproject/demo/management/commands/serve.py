import os
import secrets
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo import sample
from demo.processes import ProcessEnded, Processes, Stopped, embedded_server, start_site


class Command(BaseCommand):
    help = (
        "Run the whole site until Ctrl-C: web server, worker, embedded Redis server, slow mail server, slow services."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="Of the web server (default: 8000).")
        parser.add_argument("--no-traffic", action="store_true", help="Enqueue nothing but what its visitors cause.")

    def handle(self, *args: Any, port: int, no_traffic: bool, **options: Any) -> None:
        if not no_traffic:
            os.environ["TESTPROJECT_TRAFFIC"] = "yes"
        try:
            with Processes() as processes, embedded_server(processes):
                password = self._prepare()
                processes.check()
                start_site(processes, port)
                self._announce(port, password)
                processes.watch()
        except Stopped:
            self.stdout.write("\nEverything has ended.")
        except ProcessEnded as error:
            raise CommandError(f"{error}. Everything else was ended too.") from error

    def _prepare(self) -> str:
        call_command("migrate", verbosity=0)
        sample.load()
        password = secrets.token_urlsafe(9)
        sample.make_administrator(password)
        return password

    def _announce(self, port: int, password: str) -> None:
        self.stdout.write(
            f"""
  The testproject is running.

    site      http://127.0.0.1:{port}/
    admin     http://127.0.0.1:{port}/admin/
    jobs      http://127.0.0.1:{port}/admin/django_resque/dashboard/
    log in    admin   password: {password}   (a new one at each start)

    mail server on port {settings.MAIL_PORT}, services on port {settings.SERVICES_PORT}
    data in {settings.VAR}

  Ctrl-C ends everything.
"""
        )
        self.stdout.flush()
