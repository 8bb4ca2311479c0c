from typing import Any

from django.core.mail import EmailMessage
from django.core.management.base import CommandParser
from django.template.loader import render_to_string

from django_resque.management import JobCommand
from social.models import Position


class Command(JobCommand):
    help = "Write to the friends of a member who has moved."
    queue = "mail"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("position_id", type=int)

    def handle(self, *args: Any, position_id: int, **options: Any) -> None:
        here = Position.objects.select_related("member__user").get(pk=position_id)
        friends = Position.objects.filter(member__friends=here.member).select_related("member__user").order_by("pk")
        for there in friends:
            context = {"member": here.member, "friend": there.member, "kilometres": here.distance_to(there)}
            body = render_to_string("social/friend_moved.txt", context)
            EmailMessage(f"{here.member} has moved", body, to=[there.member.user.email]).send()
        self.stdout.write(f"{len(friends)} mails sent")
