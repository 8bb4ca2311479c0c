"""Celery's app: ``celery -A project.celery_app``."""

from celery import Celery

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
