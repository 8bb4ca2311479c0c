import random
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from django_resque import enqueue, enqueue_in, using
from django_resque.management import JobCommand
from pages.models import City
from social.models import Position


class Command(JobCommand):
    help = "Enqueue what some visitors would cause, so that there is something to see in the dashboard."
    queue = "default"
    concurrency = 1
    expires = 60

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--visitors", type=int, default=3, help="How many visitors (default: 3).")
        parser.add_argument("--seed", type=int, help="The same visitors again.")

    def handle(self, *args: Any, visitors: int, seed: int | None, **options: Any) -> None:
        dice = random.Random(seed)
        moved = Position.objects.order_by("?")[:visitors]
        cities = list(City.objects.values_list("slug", flat=True))
        for position in moved:
            enqueue("refresh_caches", position.pk)
            enqueue_in(dice.randint(20, 600), "warm_page", f"/cities/{dice.choice(cities)}/")
        if dice.random() < 0.2:
            using(max_attempts=3, backoff=20).enqueue("warm_page", "/cities/atlantis/")
        if dice.random() < 0.1:
            enqueue("email_sender", "send_sign_up_email", 99_999)  # nobody has this number
        using(unique_for=3600).enqueue("yearly_report", timezone.now().year)
        self.stdout.write(f"{len(moved)} visitors")
