from django.contrib import admin

from .models import Member, Notification, Position, Recommendation

admin.site.register([Notification, Recommendation])


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):
    """Friends are many: they are looked up by id."""

    raw_id_fields = ["user", "friends"]


@admin.register(Position)
class PositionAdmin(admin.ModelAdmin):
    """Saving one here enqueues the same jobs as the site does."""

    list_display = ["member", "place", "latitude", "longitude", "moved_at"]
    list_select_related = ["member__user"]
    raw_id_fields = ["member"]
