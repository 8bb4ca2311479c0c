from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "tests.jobs"
    label = "jobs"
    default = True


class ListeningConfig(JobsConfig):
    """With receivers of all signals."""

    default = False

    def ready(self) -> None:
        from . import receivers

        receivers.connect()
