from typing import Any

from django.core.management.base import CommandParser

from django_resque.management import JobCommand
from services.client import ask
from social.models import Position
from social.nearby import refresh


class Command(JobCommand):
    help = "Look up the name of the place where a member is, and refresh the lists of nearby friends that it changes."
    queue = "default"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("position_id", type=int)

    def handle(self, *args: Any, position_id: int, **options: Any) -> None:
        position = Position.objects.select_related("member").get(pk=position_id)
        place = ask("/place", latitude=position.latitude, longitude=position.longitude)["place"]
        # not save(), which would be a move; and only if the member has not moved on meanwhile
        Position.objects.filter(pk=position_id, moved_at=position.moved_at).update(place=place)
        members = [position.member, *position.member.friends.select_related("user")]
        for member in members:
            refresh(member)
        self.stdout.write(f"{position.member} is in {place}; {len(members)} lists refreshed")
