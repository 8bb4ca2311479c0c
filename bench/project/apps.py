"""The app that both systems find their jobs in."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
