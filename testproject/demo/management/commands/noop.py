from typing import Any

from django_resque.management import JobCommand


class Command(JobCommand):
    help = "Do nothing, as fast as possible: what a job costs, apart from its work."

    def handle(self, *args: Any, **options: Any) -> None:
        pass
