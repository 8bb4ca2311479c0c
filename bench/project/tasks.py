"""The jobs as the systems that decorate functions want them; the others take them from `project.work` as they are."""

from django.conf import settings

from . import work

if settings.SYSTEM == "huey":
    from huey.contrib.djhuey import task

    job = task()
elif settings.SYSTEM == "dramatiq":
    from dramatiq import actor as job
elif settings.SYSTEM == "celery":
    from celery import shared_task as job

if settings.SYSTEM in ("huey", "dramatiq", "celery"):
    noop = job(work.noop)
    mark = job(work.mark)
    stamp = job(work.stamp)
    nap = job(work.nap)
    sit = job(work.sit)
