"""Let a storm rage over a fleet of workers, and check that every promise was kept.

Prints one line of figures. When a promise was broken it says which, with what is known of the jobs concerned, keeps the
folder with all logs, and ends with status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import django
import redis

from django_resque.failure import Failure
from tests.proxy import Proxy
from tests.servers import RedisServer

from .checker import Verdict, judge
from .evidence import Evidence, Failed, Line, Notebook, Tail, processes_of, read_lines, read_pushes
from .fleet import LOOK_EVERY, Fleet
from .kinds import KINDS, STUBBORN_TAKES
from .producer import Pusher
from .weather import Weather, forecast

TAKES_JOBS_WITHIN = 5.0
"""Seconds after the last fault in which every worker must have taken a job."""
STALLED_AFTER = 30.0
"""Seconds without any progress after which the rest is not waited for."""
CHILDREN_END_WITHIN = 3.0
"""Seconds after the last job in which what it has left behind must be gone."""
PREFIX = "resque:"
_LOCKS = (f"{PREFIX}resque_scheduler_leader_lock", f"{PREFIX}{PREFIX}resque_scheduler_master_lock")
TOLD_AT_MOST = 3
"""Violations of one promise that are told in full."""


class Storm:
    """One storm, from an empty Redis to the verdict."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._seed = str(options.seed)
        self.folder = Path(tempfile.mkdtemp(prefix="resque-storm-"))
        (self.folder / "deaths").mkdir()
        self._notebook = Notebook(self.folder / "weather.log")
        # small, so that a start after a kill does not have much to load
        self._server = RedisServer(appendfsync="always", config={"auto-aof-rewrite-min-size": "16mb"})
        self._proxy: Proxy | None = None
        self._fleet: Fleet | None = None
        self._misconduct: list[str] = []
        self._began = 0.0
        self.drained = 0.0
        """Seconds until all jobs had ended."""

    def run(self) -> Verdict:
        options = self._options
        self._server.start()
        self._proxy = Proxy(self._server.port, seed=options.seed)
        self._set_up_django(self._proxy.url)
        self._fleet = Fleet(self.folder, self._proxy.url, options.dispatchers, options.performers)
        weather = Weather(self._server, self._proxy, self._fleet, self._notebook)
        self.faults = weather.happened
        self._fleet.start(jobs=options.jobs, seconds=options.seconds, seed=self._seed, spare_pids=self._redis_pid)
        self._began = time.monotonic()
        say(f"The storm begins; its logs are in {self.folder}")
        weather.run(forecast(self._seed, options.seconds, options.faults), options.seconds)
        weather.clear()
        say(f"… it is over after {self._elapsed():.0f} s: does everybody work again?")
        self._all_take_jobs_again()
        self._wait_for_producers()
        self._drain()
        self.drained = self._elapsed()
        say(f"… all jobs have ended after {self.drained:.0f} s: is anything left?")
        orphans = self._children_of_jobs()
        self._fleet.stop()
        orphans |= dict(processes_of(self.folder))
        return judge(self._evidence(orphans))

    @property
    def slowest_exit(self) -> float:
        return self._fleet.slowest_exit if self._fleet else 0.0

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _redis_pid(self) -> set[int]:
        return {self._server.pid} if self._server.running else set()

    def _set_up_django(self, url: str) -> None:
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.storm.settings"
        os.environ["DJANGO_RESQUE_STORM_REDIS"] = url
        django.setup()

    # -- after the storm ---------------------------------------------------------------------------------------------

    def _all_take_jobs_again(self) -> None:
        """Give the workers work until each of them has begun some, or its time is over."""
        assert self._fleet is not None
        pusher = Pusher(self.folder, "probe", random.Random(f"{self._seed} probe"))
        tail = Tail(self.folder / "work.log")
        calm = time.monotonic()
        lines = [Line.parse(text) for text in tail.lines()]
        busy = {line.pid: line for line in lines}
        waited_for = {member.life.number: member for member in self._fleet.members()}
        while waited_for:
            pusher.push([KINDS["doze"]] * 20)
            for line in (Line.parse(text) for text in tail.lines()):
                busy[line.pid] = line
                for number, member in list(waited_for.items()):
                    if line.event == "start" and line.at >= calm and member.life.has(line.dispatcher, line.at):
                        del waited_for[number]
            now = time.monotonic()
            for number, member in list(waited_for.items()):
                if member.life.died is not None or self._all_stubborn(member.life.pid, busy, now):
                    del waited_for[number]
                elif now > max(calm, member.ready_at or now) + TAKES_JOBS_WITHIN:
                    del waited_for[number]
                    self._misconduct.append(
                        f"worker {number} (pid {member.life.pid}, {member.log.name}) has taken no job"
                        f" {TAKES_JOBS_WITHIN:g} s after the last fault"
                    )
            time.sleep(LOOK_EVERY)
        pusher.close()

    def _all_stubborn(self, dispatcher: int, busy: dict[int, Line], now: float) -> bool:
        """Whether all performers are kept by jobs that do not listen to their timeout."""
        kept = [
            line
            for line in busy.values()
            if (line.dispatcher, line.event, line.kind) == (dispatcher, "start", "stubborn")
            and now < line.at + STUBBORN_TAKES
        ]
        return len(kept) >= self._options.performers

    def _wait_for_producers(self) -> None:
        assert self._fleet is not None
        while not all(producer.done for producer in self._fleet.producers()):
            time.sleep(LOOK_EVERY)

    def _drain(self) -> None:
        """Wait until no job is anywhere any more, or nothing moves."""
        with self._server.client() as client:
            before, since = None, time.monotonic()
            while (now := _unfinished(client)) != (0, 0):
                progress = (now, client.get(f"{PREFIX}stat:processed"))
                if progress != before:
                    before, since = progress, time.monotonic()
                elif time.monotonic() > since + STALLED_AFTER:
                    queued, reserved = now
                    self._misconduct.append(
                        f"nothing has moved for {STALLED_AFTER:g} s, with {queued} jobs queued and {reserved} reserved"
                    )
                    return
                time.sleep(0.05)

    def _children_of_jobs(self) -> dict[int, str]:
        """What jobs have left behind and nobody has ended, although the workers live."""
        mark = f"{self.folder.name}-child-of-"
        deadline = time.monotonic() + CHILDREN_END_WITHIN
        while True:
            found = {pid: arguments for pid, arguments in processes_of(self.folder) if mark in arguments}
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def _evidence(self, orphans: dict[int, str]) -> Evidence:
        assert self._fleet is not None
        with self._server.client() as client:
            return Evidence(
                began=self._began,
                pushes=read_pushes(self.folder),
                lines=read_lines(self.folder),
                lives=self._fleet.lives,
                performer_kills=self._fleet.performer_kills,
                processed=int(client.get(f"{PREFIX}stat:processed") or 0),
                failed=int(client.get(f"{PREFIX}stat:failed") or 0),
                counted=_counted(client),
                failures=[_failed(raw) for raw in client.lrange(f"{PREFIX}failed", 0, -1)],
                statuses=_statuses(client),
                queued=_unfinished(client)[0],
                keys=list(_keys_left(client)),
                orphans=[f"{pid} {arguments}" for pid, arguments in orphans.items()],
                misconduct=[*self._misconduct, *self._fleet.misconduct],
            )

    # -- the end -----------------------------------------------------------------------------------------------------

    def keep(self, verdict: Verdict | None) -> None:
        """Leave the folder with what is needed to understand a violation."""
        shutil.copy(self._server.log, self.folder / "redis.log")
        if verdict is not None:
            texts = (f"{violation.promise}: {violation.text}" for violation in verdict.violations)
            (self.folder / "violations.txt").write_text("\n\n".join(texts))

    def close(self, *, keep: bool) -> None:
        """End all processes."""
        if self._fleet is not None:
            self._fleet.close()
        if self._proxy is not None:
            self._proxy.close()
        self._server.close()
        self._notebook.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _unfinished(client: redis.Redis) -> tuple[int, int]:
    """How many jobs are queued or wait elsewhere, and how many are reserved."""
    queued = sum(client.llen(f"{PREFIX}queue:{name.decode()}") for name in client.smembers(f"{PREFIX}queues"))
    queued += sum(client.llen(key) for key in client.scan_iter(f"{PREFIX}delayed:*", count=1000))
    queued += sum(client.llen(key) for key in client.scan_iter(f"{PREFIX}django:parked:*", count=1000))
    queued += client.zcard(f"{PREFIX}django:retries")
    reserved = sum(client.hlen(key) for key in client.scan_iter(f"{PREFIX}django:reservations:*", count=1000))
    return queued, reserved


def _counted(client: redis.Redis) -> dict[str, int]:
    """What the statistics say."""
    hours = [client.hgetall(key) for key in client.scan_iter(f"{PREFIX}django:stats:throughput:*", count=1000)]
    return {
        name: sum(int(count) for hour in hours for field, count in hour.items() if field.startswith(letter))
        for name, letter in (("processed", b"p"), ("failed", b"f"))
    }


def _failed(raw: bytes) -> Failed:
    record = json.loads(raw)
    slot = record["payload"]["args"][0] if record["payload"].get("args") else []
    moment = Failure.from_record(raw).failed_at
    assert moment is not None
    at = moment.timestamp() + 1 - time.time() + time.monotonic()  # it is written in whole seconds
    return Failed(slot[1] if len(slot) > 1 else "", record["exception"], record["error"], at)


def _statuses(client: redis.Redis) -> dict[str, int]:
    """The status of every job by its id."""
    keys = list(client.scan_iter(f"{PREFIX}job:*:status", count=1000))
    found: dict[str, int] = {}
    for first in range(0, len(keys), 1000):
        chunk = keys[first : first + 1000]
        for key, raw in zip(chunk, client.mget(chunk), strict=True):
            if raw is not None:
                found[key.decode().split(":")[2]] = json.loads(raw)["status"]
    return found


def _keys_left(client: redis.Redis) -> list[str]:
    """The keys that must not be there when all workers have ended."""
    results = ("queues", "failed", "stat:processed", "stat:failed", "django:recent")
    fine = (f"{PREFIX}job:", *[f"{PREFIX}{name}" for name in results])
    found = []
    for key in sorted(name.decode() for name in client.scan_iter(f"{PREFIX}*", count=1000)):
        if key.startswith((f"{PREFIX}django:", *_LOCKS)) and client.ttl(key) >= 0 and not key.endswith(":crashes"):
            continue  # it goes by itself
        if key.startswith(fine[:1]) or key in fine:
            continue
        found.append(f"{key} ({client.type(key).decode()})")
    return found


def figures(options: argparse.Namespace, storm: Storm, verdict: Verdict) -> str:
    """The line that says how it went."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in storm.faults.items())
    return (
        f"storm: seed {options.seed}, {options.seconds:g} s, {verdict.processed:,} jobs processed"
        f" ({verdict.processed / storm.drained:.0f}/s), {verdict.failed:,} failed,"
        f" {sum(storm.faults.values()):,} faults ({kinds});"
        f" lost {verdict.lost}, uncertain {verdict.uncertain} of which arrived {verdict.arrived},"
        f" run again {verdict.reruns}, duplicates of finished work {verdict.duplicates}"
        f" ({verdict.mean_per_death:.2f} per killed or frozen dispatcher, at most {max(verdict.per_death, default=0)};"
        f" {verdict.from_performers} by killed performers), poison {verdict.poison}, innocents {verdict.innocents},"
        f" orphans {verdict.orphans}, slowest exit {storm.slowest_exit:.1f} s"
    )


def tell(verdict: Verdict) -> None:
    """Explain what was found."""
    by_promise: dict[str, list[str]] = {}
    for violation in verdict.violations:
        by_promise.setdefault(violation.promise, []).append(violation.text)
    for promise, texts in by_promise.items():
        say(f"\nBROKEN {len(texts)} time(s): {promise}\n")
        for text in texts[:TOLD_AT_MOST]:
            say(f"  {text}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long there are faults (default: 120)")
    parser.add_argument("--jobs", type=int, default=12_000, help="how many are enqueued (default: 12000)")
    parser.add_argument("--faults", type=int, default=200, help="how many there are (default: 200)")
    parser.add_argument("--seed", type=int, help="decides on the faults and the jobs (default: another each time)")
    parser.add_argument("--dispatchers", type=int, default=3, help="worker processes (default: 3)")
    parser.add_argument("--performers", type=int, default=2, help="performers of each (default: 2)")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, _leave)
    storm = Storm(options)
    keep = True
    try:
        verdict = storm.run()
        keep = bool(verdict.violations)
        if keep:
            storm.keep(verdict)
            tell(verdict)
            say(f"All of it, and all logs, are in {storm.folder}")
        say(figures(options, storm, verdict))
        return 1 if keep else 0
    except KeyboardInterrupt:
        say("Interrupted.")
        keep = False
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        storm.close(keep=keep)


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
