"""``restart``: the same workers, with the code as it is now."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from ... import control, launching
from ...control import Result, Target
from ...errors import NotStarted
from ...store import WorkerProcessInfo
from .. import background
from ..background import Outcome, Plan
from ..terminal import Terminal
from .control import tell_of_running_jobs
from .targets import add_target_arguments, add_timeout_argument, chosen, result_as_json
from .verb import NO, OK, Verb


class Restart(Verb):
    """Stops, waits until they have left, starts again."""

    name = "restart"
    help = (
        "Restart workers and schedulers of this host that were started in the background.\n\n"
        "They are stopped, as stop does it. When they have left they are started again, each with the options, in the"
        " folder and with the log that it had."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target_arguments(parser)
        parser.add_argument(
            "-f", "--force", action="store_true", help="at once: jobs that run are ended, and go back to their queues"
        )
        add_timeout_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        targets = chosen(options, terminal, self.name)
        reasons = {target.name: why_not(target) for target in targets}
        stopped = control.stop(
            [target for target in targets if not reasons[target.name]],
            force=options["force"],
            timeout=options["timeout"],
            progress=tell_of_running_jobs(terminal),
        )
        outcomes = _start_again([result.target for result in stopped if result.done], terminal)
        return _show(targets, reasons, stopped, outcomes, terminal)


def why_not(target: Target) -> str:
    """Why it cannot be started again from here; empty when it can."""
    process = target.process
    if process is None:
        return "it is another program's"
    if process.host != socket.gethostname():
        return f"it can be started again on its own host only: run restart on {process.host or 'that one'}"
    if not process.launch:
        return "it was not started in the background: stop it, and whatever has started it starts it again"
    if not launching.options_of(process) or not launching.is_genuine(process):
        return "how it was started is not known for certain (has SECRET_KEY changed since?): stop it, and start another"
    return ""


def _start_again(targets: Sequence[Target], terminal: Terminal) -> dict[str, Outcome]:
    """What was started, by the name that each had."""
    alike: dict[Plan, list[str]] = {}
    for target in targets:
        assert target.process is not None
        alike.setdefault(_plan(target.process), []).append(target.name)
    found: dict[str, Outcome] = {}
    for plan, names in alike.items():
        several = Plan(plan.arguments, plan.log, len(names), plan.cwd)
        try:
            found.update(zip(names, background.start(several, launching.TIMEOUT), strict=True))
        except NotStarted as error:  # the others are to start all the same
            terminal.error(f"{', '.join(names)} cannot be started again: {error}")
    return found


def _plan(process: WorkerProcessInfo) -> Plan:
    arguments = tuple(launching.options_of(process))
    given = [argument.removeprefix("--log=") for argument in arguments if argument.startswith("--log=")]
    log = given[-1] if given else process.log or str(background.default_log())
    return Plan(arguments, log, cwd=process.cwd)


def _show(
    targets: Sequence[Target],
    reasons: Mapping[str, str],
    stopped: Sequence[Result],
    outcomes: Mapping[str, Outcome],
    terminal: Terminal,
) -> int:
    results = {result.target.name: result for result in stopped}
    terminal.json(
        [
            {
                "worker": target.name,
                "restarted": _is_back(target, outcomes),
                "reason": reasons[target.name],
                "stopped": result_as_json(results[target.name]) if target.name in results else None,
                "started": outcomes[target.name].as_json() if target.name in outcomes else None,
            }
            for target in targets
        ]
    )
    for target in targets:
        if reasons[target.name]:
            terminal.error(f"{target.name} is left as it is: {reasons[target.name]}")
        elif not results[target.name].done:
            result = results[target.name]
            about = f" ({result.detail})" if result.detail else ""
            terminal.error(f"{target.name} has not been stopped, so not started again: {result.outcome.value}{about}")
        elif _is_back(target, outcomes):
            process = outcomes[target.name].started.process
            assert process is not None
            terminal.line(f"{target.name} is back as {process.name}, process {process.pid}: {process.queues}")
    lost = [outcome for outcome in outcomes.values() if not outcome.started.registered]
    background.show(lost, launching.TIMEOUT, terminal)
    if not targets:
        terminal.line("Nothing was chosen.")
    return OK if targets and all(_is_back(target, outcomes) for target in targets) else NO


def _is_back(target: Target, outcomes: Mapping[str, Outcome]) -> bool:
    return target.name in outcomes and outcomes[target.name].started.registered
