"""``pausequeue`` and ``resumequeue``: whether jobs are taken from a queue."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ...control import somebody
from ...store import store
from ..terminal import Terminal
from .arguments import queue_name
from .verb import OK, Verb


class PauseQueue(Verb):
    """Has nobody take jobs from it."""

    name = "pausequeue"
    help = (
        "Have no worker of ours take jobs from a queue.\n\n"
        "It holds at once, on all hosts, for workers that start later too, until resumequeue. Jobs can be enqueued, and"
        " those that were taken before are performed. Other programs' workers know nothing of it."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "queues", nargs="+", type=queue_name, metavar="QUEUE", help="its name; it need not exist yet"
        )

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        queues: list[str] = options["queues"]
        changed = {queue: store().ask(store().control.pause_queue(queue, somebody())) for queue in queues}
        known = store().queues.names()
        for queue in changed:
            if queue not in known:
                terminal.note(f"There is no such queue yet: {queue}")
        terminal.json([{"queue": queue, "paused": True, "changed": new} for queue, new in changed.items()])
        for queue, new in changed.items():
            terminal.line(f"No jobs are taken from {queue} any more." if new else f"{queue} was paused before.")
        return OK


class ResumeQueue(Verb):
    """Has them take jobs from it again."""

    name = "resumequeue"
    help = "Have workers take jobs from a queue again, after pausequeue."
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("queues", nargs="+", metavar="QUEUE", help="its name")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        queues: list[str] = options["queues"]
        changed = {queue: store().ask(store().control.resume_queue(queue)) for queue in queues}
        terminal.json([{"queue": queue, "paused": False, "changed": new} for queue, new in changed.items()])
        for queue, new in changed.items():
            terminal.line(f"Jobs are taken from {queue} again." if new else f"{queue} was not paused.")
        return OK
