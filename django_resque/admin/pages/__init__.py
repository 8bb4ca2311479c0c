"""The pages of the dashboard, in the order of its menu, and what can be done there."""

from __future__ import annotations

from ..action import Action
from ..page import Page
from . import overview, queues

PAGES: tuple[Page, ...] = (
    overview.OverviewPage(),
    queues.QueuesPage(),
)

ACTIONS: tuple[Action, ...] = (
    queues.PauseQueues(),
    queues.ResumeQueues(),
)
