from typing import Any

from django.core.management.base import CommandParser

from django_resque.management import JobCommand
from services.client import tell
from social.models import Notification, Position


class Command(JobCommand):
    help = "Leave a notification for each friend of a member who has moved, and push it to the friend's phone."
    queue = "default"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("position_id", type=int)

    def handle(self, *args: Any, position_id: int, **options: Any) -> None:
        here = Position.objects.select_related("member__user").get(pk=position_id)
        friends = Position.objects.filter(member__friends=here.member).order_by("pk")
        for there in friends:
            # One for each move: run twice, the command finds what is there and pushes only what was not pushed.
            notification, _new = Notification.objects.get_or_create(
                recipient_id=there.member_id,
                about=here.member,
                moved_at=here.moved_at,
                defaults={"text": f"{here.member} is now {here.distance_to(there):.0f} km away"},
            )
            if not notification.pushed:
                tell("/pushes", key=f"notification-{notification.pk}", data={"text": notification.text})
                notification.pushed = True
                notification.save(update_fields=["pushed"])
        self.stdout.write(f"{len(friends)} friends notified")
