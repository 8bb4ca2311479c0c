from django.apps import AppConfig


class ServicesConfig(AppConfig):
    """The outside world: a mail server, an ERP, a gazetteer and a push gateway, all of them slow."""

    name = "services"
