"""The app that all systems find their jobs in."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
