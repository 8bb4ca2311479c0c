"""The dashboard: where it is in the admin, and who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from ..errors import ResqueError
from ..store import store
from .board import Board
from .text import reason

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class DashboardAdmin(ModelAdmin):
    """Pages in place of the lists and forms that a model with rows would have."""

    def get_urls(self) -> list[URLPattern]:
        # The index links to the name that a model's list has.
        overview = self.admin_site.admin_view(require_safe(self.overview))
        return [path("", overview, name="django_resque_dashboard_changelist")]

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Queues, workers, counters and the last failures.

        When Redis is not available the page says why, with status 200: in place of a 5xx many proxies show a page of
        their own, and Django mails the site's admins.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Dashboard"),
            "opts": self.opts,
            "namespace": "",
        }
        try:
            found = store()
            context["namespace"] = found.config.namespace
            context["board"] = Board(found.overview(), found.delayed.health())
        except ResqueError as error:
            context["unavailable"] = reason(error)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/django_resque/overview.html", context)

    # -- who may do what: there is one permission, and nothing to add, change or delete ------------------------------

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("django_resque.view_dashboard")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
