from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The commands ``serve`` and ``demo``, the sample data, and ``noop`` for the benchmark."""

    name = "demo"
