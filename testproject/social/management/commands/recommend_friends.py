from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.db.models import Count, Q

from django_resque.management import JobCommand
from social.geography import distance
from social.models import Member, Position, Recommendation

KILOMETRES = 50
MOST = 5


class Command(JobCommand):
    help = "Find new friends for a member who has moved: people near by, those with mutual friends first."
    queue = "low"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("position_id", type=int)

    def handle(self, *args: Any, position_id: int, **options: Any) -> None:
        here = Position.objects.select_related("member").get(pk=position_id)
        friends = set(here.member.friends.values_list("pk", flat=True))
        near = {
            member_id: kilometres
            for member_id, latitude, longitude in Position.objects.values_list("member_id", "latitude", "longitude")
            if member_id not in friends
            and member_id != here.member_id
            and (kilometres := distance(here.latitude, here.longitude, latitude, longitude)) <= KILOMETRES
        }
        mutual = Count("friends", filter=Q(friends__friends=here.member))
        candidates = list(Member.objects.filter(position__isnull=False).exclude(pk__in=friends).annotate(mutual=mutual))
        found = sorted(
            (other for other in candidates if other.pk in near), key=lambda other: (-other.mutual, near[other.pk])
        )[:MOST]
        with transaction.atomic():
            here.member.recommendations.all().delete()
            Recommendation.objects.bulk_create(
                Recommendation(member=here.member, other=other, kilometres=near[other.pk], mutual_friends=other.mutual)
                for other in found
            )
        self.stdout.write(f"{len(found)} of {len(near)} people near by recommended")
