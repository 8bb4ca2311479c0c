"""The play that ``manage.py demo`` gives: three requests without django_resque, the same three with it."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.core.management import call_command

from django_resque.store import Counters, store

from . import sample
from .browser import Browser
from .processes import Processes, start_site
from .scenarios import Facts, Scenario, changes, facts, forget_the_last_move, scenarios

JOBS_END_WITHIN = 60.0
"""Seconds that the jobs of one request may take."""

Say = Callable[[str], None]


class NotAsExpected(Exception):
    """Something did not happen, or happened too often."""


@dataclass(frozen=True)
class Performance:
    """One scenario, both ways. Times in seconds."""

    scenario: Scenario
    without: float
    answered: float
    """With django_resque: until the page answered."""
    done: float
    """With django_resque: from the click until the last job had ended."""


@dataclass(frozen=True)
class Counted:
    """What Redis says at the end."""

    counters: Counters
    waiting: Mapping[str, int | None]


def prepare(processes: Processes, port: int, say: Say) -> Browser:
    """Fill the database, start everything, log in."""
    say("a database with members, friends, cities and products")
    call_command("migrate", verbosity=0)
    sample.load()
    password = secrets.token_urlsafe(12)
    sample.make_administrator(password)
    say("mail server, services, worker, web server and embedded Redis server")
    start_site(processes, port)
    say("a browser that logs in")
    browser = Browser(f"http://127.0.0.1:{port}")
    browser.submit("/accounts/log-in/", {"username": "admin", "password": password})
    for path in ("/social/", "/shop/", "/accounts/sign-up/"):
        browser.get(path)  # Python loads the rest of the site now, and not while the stopwatch runs
    return browser


def play(processes: Processes, browser: Browser, say: Say) -> list[Performance]:
    """Both acts. Raises `NotAsExpected`."""
    say("without django_resque: everything inside the request")
    without = [_without(scenario, browser) for scenario in scenarios("without")]
    say("with django_resque: the same commands as jobs")
    return [
        Performance(scenario, seconds, *_with(scenario, browser, processes))
        for scenario, seconds in zip(scenarios("with"), without, strict=True)
    ]


def count(performances: list[Performance]) -> Counted:
    """The counters at the end. Raises `NotAsExpected` when they do not add up."""
    expected = Counters(processed=sum(performance.scenario.jobs for performance in performances), failed=0)
    found = Counted(store().stats.counters(), store().queues.sizes(store().queues.names()))
    if found.counters != expected or any(found.waiting.values()):
        raise NotAsExpected(f"The counters should be {expected} with nothing waiting, but are {found}")
    return found


def _without(scenario: Scenario, browser: Browser) -> float:
    forget_the_last_move()
    before, counters = facts(), store().stats.counters()
    seconds = scenario.send(browser, {"X_Without_Resque": "1"})
    expect(scenario, changes(before, facts()))
    if store().stats.counters() != counters:
        raise NotAsExpected(f"{scenario.title}: there were jobs, although the request had asked for none")
    return seconds


def _with(scenario: Scenario, browser: Browser, processes: Processes) -> tuple[float, float]:
    forget_the_last_move()
    before, counters = facts(), store().stats.counters()
    started = time.monotonic()
    answered = scenario.send(browser, {})
    target = Counters(counters.processed + scenario.jobs, counters.failed)
    _wait_for_the_jobs(scenario, target, processes)
    done = time.monotonic() - started
    expect(scenario, changes(before, facts()))
    return answered, done


def _wait_for_the_jobs(scenario: Scenario, target: Counters, processes: Processes) -> None:
    deadline = time.monotonic() + JOBS_END_WITHIN
    while (now := store().stats.counters()).processed < target.processed:
        if time.monotonic() > deadline:
            raise NotAsExpected(
                f"{scenario.title}: after {JOBS_END_WITHIN:.0f} seconds {now.processed} jobs had ended, not"
                f" {target.processed}; waiting are {store().queues.sizes(store().queues.names())}"
            )
        processes.check()
        time.sleep(0.02)
    if now != target:
        raise NotAsExpected(f"{scenario.title}: the counters should be {target}, but are {now}")


def expect(scenario: Scenario, found: Facts) -> None:
    """Raise `NotAsExpected` unless ``found`` is what the scenario brings about, no less and no more."""
    if found == scenario.effects:
        return
    wrong = Counter(scenario.effects)
    wrong.subtract(found)
    lines = [
        f"{name}: {found.get(name, 0):+d} instead of {scenario.effects.get(name, 0):+d}"
        for name, off in wrong.items()
        if off
    ]
    raise NotAsExpected(f"{scenario.title} did not do what it should: " + ", ".join(lines))
