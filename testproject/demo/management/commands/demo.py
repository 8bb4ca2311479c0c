import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo.browser import Refused
from demo.play import NotAsExpected, count, play, prepare
from demo.processes import ProcessEnded, Processes, Stopped, embedded_server, free_ports
from demo.report import performed_jobs, report


class Command(BaseCommand):
    help = "Play three scenarios against the running site, without and with django_resque, and report what happened."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
        parser.add_argument("--port", type=int, help=argparse.SUPPRESS)

    def handle(self, *args: Any, folder: Path | None, port: int | None, **options: Any) -> None:
        if folder is None or port is None:
            _begin_again_in_a_new_folder()
        sys.stdout.reconfigure(errors="replace")  # a terminal without "─" gets a "?"
        try:
            self._play(folder, port)
        except (NotAsExpected, Refused, ProcessEnded) as error:
            raise CommandError(f"The demo has failed. {error}") from error
        except Stopped as signal:
            raise CommandError(f"Stopped by {signal}.") from signal
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _play(self, folder: Path, port: int) -> None:
        self._say("django_resque demo: three requests to a running site, first without, then with it")
        self._say("")
        logs = folder / "logs"
        with Processes(logs) as processes, embedded_server(processes):
            self._say("Starting, all on this machine and in a temporary folder:")
            browser = prepare(processes, port, self._step)
            self._say("Playing:")
            performances = play(processes, browser, self._step)
            counted = count(performances)
        # the worker has ended, so its log is complete
        self._say("")
        self._say(report(performances, performed_jobs(logs / "worker.log"), counted))

    def _step(self, text: str) -> None:
        self._say(f"  · {text}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _begin_again_in_a_new_folder() -> NoReturn:
    """Replace this process by one whose settings lead to a new folder and to free ports."""
    folder = tempfile.mkdtemp(prefix="django-resque-demo-")
    mail, services, web = free_ports(3)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TESTPROJECT_")}
    environ |= {
        "TESTPROJECT_VAR": folder,
        "TESTPROJECT_MAIL_PORT": str(mail),
        "TESTPROJECT_SERVICES_PORT": str(services),
    }
    program = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo", "--in", folder, "--port", str(web)]
    sys.stdout.flush()
    os.execve(sys.executable, program, environ)
