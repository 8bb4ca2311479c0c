"""The job systems, and how their consumers are started."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import dataclass

MANAGE = [sys.executable, "-m", "django"]


@dataclass(frozen=True)
class System:
    """One system, or one way to run it.

    ``name`` is the one that project/settings.py and project/senders/ know. ``consumer`` is the command line of a
    consumer with so many performers. ``share``: of the jobs that a fast system gets, how many this one gets, so that a
    round takes seconds and not minutes.
    """

    name: str
    label: str
    packages: tuple[str, ...]
    consumer: Callable[[int], list[str]]
    share: float = 1
    database: bool = False

    @property
    def missing(self) -> str:
        """The packages that are not installed; empty when it can be measured."""
        return ", ".join(package for package in self.packages if not version(package))

    @property
    def versions(self) -> str:
        return ", ".join(f"{package} {version(package) or 'not installed'}" for package in self.packages)


def version(package: str) -> str:
    """The installed version, empty when there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def rq(*options: str) -> Callable[[int], list[str]]:
    """RQ's command for one worker, or for several."""

    def consumer(performers: int) -> list[str]:
        if performers == 1:
            return [*MANAGE, "rqworker", "default", *options]
        return [*MANAGE, "rqworker-pool", "default", "--num-workers", str(performers), *options]

    return consumer


def dramatiq(threads: int) -> Callable[[int], list[str]]:
    """dramatiq's command, with so many threads in each process."""
    return lambda performers: [*MANAGE, "rundramatiq", "-p", str(performers), "-t", str(threads)]


OURS = System(
    "django_resque",
    "django_resque",
    ("django_resque",),
    lambda performers: [*MANAGE, "resque_worker", "-q", "default", "-n", str(performers)],
)
FORKING = System(
    "django_resque",
    "django_resque --max-jobs 1",
    ("django_resque",),
    lambda performers: [*OURS.consumer(performers), "--max-jobs", "1"],
)
HUEY = System(
    "huey",
    "huey",
    ("huey",),
    lambda performers: [*MANAGE, "run_huey", "-w", str(performers), "-k", "process"],
)
DRAMATIQ = System("dramatiq", "dramatiq, 8 threads", ("dramatiq", "django-dramatiq"), dramatiq(8))
DRAMATIQ_1 = System("dramatiq", "dramatiq, 1 thread", ("dramatiq", "django-dramatiq"), dramatiq(1))
CELERY = System(
    "celery",
    "Celery prefork",
    ("celery",),
    lambda performers: [
        *(sys.executable, "-m", "celery", "-A", "project.celery_app"),
        *("worker", "-P", "prefork", "-c", str(performers)),
    ],
    share=0.2,
)
DJANGO_Q = System(
    "django_q", "django-q2", ("django-q2",), lambda performers: [*MANAGE, "qcluster"], share=0.2, database=True
)
RQ = System("rq", "RQ", ("rq", "django-rq"), rq(), share=0.02)
RQ_SIMPLE = System("rq", "RQ SimpleWorker", ("rq", "django-rq"), rq("--worker-class", "rq.SimpleWorker"), share=0.05)

ALL = (OURS, HUEY, DRAMATIQ, CELERY, DJANGO_Q, RQ_SIMPLE, RQ)
