"""The pages of the dashboard, in the order of its menu, and what can be done there."""

from __future__ import annotations

from ..action import Action
from ..page import Page
from . import (
    delayed,
    failure,
    failure_list,
    failures,
    job,
    jobs,
    overview,
    queue,
    queues,
    redis,
    run,
    schedule,
    schedule_entry,
    statistics,
    workers,
)

_MODULES = (
    overview,
    queues,
    queue,
    jobs,
    job,
    failures,
    failure_list,
    failure,
    workers,
    delayed,
    schedule,
    schedule_entry,
    run,
    statistics,
    redis,
)
PAGES: tuple[Page, ...] = tuple(module.PAGE for module in _MODULES)
ACTIONS: tuple[Action, ...] = tuple(action for module in _MODULES for action in module.ACTIONS)
