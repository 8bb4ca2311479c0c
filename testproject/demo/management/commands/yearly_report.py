import time
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count

from django_resque import current_job
from django_resque.management import JobCommand
from social.models import Position

PAUSE = 0.5
"""Seconds for each place, as if there were much to reckon."""


class Command(JobCommand):
    help = "Count the members at each place, slowly, and tell how far it is."
    queue = "low"
    timeout = 300

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("year", type=int)
        parser.add_argument("--pause", type=float, default=PAUSE, help=f"Seconds for each place (default: {PAUSE}).")

    def handle(self, *args: Any, year: int, pause: float, **options: Any) -> Any:
        job = current_job()
        places = list(Position.objects.values_list("place").annotate(Count("pk")).order_by("place"))
        for done, (place, members) in enumerate(places, 1):
            time.sleep(pause)
            self.stdout.write(f"{year} {place or 'somewhere'}: {members}")
            if job is not None:
                job.progress(done, len(places), place)
        return {"year": year, "places": len(places)}
