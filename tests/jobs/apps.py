from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "tests.jobs"
    label = "jobs"
