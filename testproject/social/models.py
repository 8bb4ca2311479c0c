from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from .geography import distance


class Member(models.Model):
    """A user among friends."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="member")
    friends = models.ManyToManyField("self", blank=True)

    def __str__(self) -> str:
        return self.user.get_full_name() or self.user.get_username()


class Position(models.Model):
    """Where a member is. Saving it is what everything in this app follows from."""

    member = models.OneToOneField(Member, on_delete=models.CASCADE, related_name="position")
    latitude = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    place = models.CharField(max_length=100, blank=True, help_text="Looked up by a job.")
    moved_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.member} at {self.latitude:.4f}, {self.longitude:.4f}"

    def distance_to(self, other: Position) -> float:
        """Kilometres."""
        return distance(self.latitude, self.longitude, other.latitude, other.longitude)


class Notification(models.Model):
    """A member is told that a friend has moved: once for each move."""

    recipient = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="notifications")
    about = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="+")
    moved_at = models.DateTimeField()
    text = models.CharField(max_length=200)
    pushed = models.BooleanField(default=False)

    class Meta:
        ordering = ["-moved_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["recipient", "about", "moved_at"], name="one_notification_for_each_move")
        ]

    def __str__(self) -> str:
        return self.text


class Recommendation(models.Model):
    """Somebody near whom a member may know."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="recommendations")
    other = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="+")
    kilometres = models.FloatField()
    mutual_friends = models.PositiveIntegerField()

    class Meta:
        ordering = ["-mutual_friends", "kilometres"]
        constraints = [models.UniqueConstraint(fields=["member", "other"], name="recommended_once")]

    def __str__(self) -> str:
        return f"{self.other} to {self.member}"
