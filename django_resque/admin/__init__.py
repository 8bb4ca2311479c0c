"""django_resque in Django's admin.

Django imports this package when ``django.contrib.admin`` is installed, and the dashboard is then in the index of the
default admin site. Another site shows it after

    django_resque.admin.register(my_admin_site)

Superusers see it, and staff users with the permission ``django_resque.view_dashboard``.
"""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin

from .dashboard import DashboardAdmin

__all__ = ["register"]


def register(site: admin.AdminSite) -> None:
    """Show the dashboard in ``site``. A second call for the same site does nothing."""
    model = apps.get_model("django_resque", "Dashboard")
    if not site.is_registered(model):
        site.register(model, DashboardAdmin)


register(admin.site)
