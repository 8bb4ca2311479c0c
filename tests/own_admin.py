"""An admin site of a project's own, put in place of Django's as its documentation says."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class OwnSite(AdminSite):
    site_header = "Our own admin"


class OwnAdminConfig(AdminConfig):
    default_site = "tests.own_admin.OwnSite"
