"""Jobs per second, beside huey's: the same no-op, the same Redis, the same machine, taking turns.

A round of a system is: enqueue the jobs one call at a time, then start its consumer with one process and let it drain
the queue. The first and the last job note the time, so the consumer's start does not count.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import redis

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.servers import RedisServer  # noqa: E402  the folder above is not installed

CONSUMERS = {
    "django_resque": ["resque_worker", "-q", "default", "-n", "1"],
    "huey": ["run_huey", "-w", "1", "-k", "process"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000, help="in a round (default: 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each system (default: 3)")
    options = parser.parse_args()
    rates: dict[str, list[tuple[float, float]]] = {system: [] for system in CONSUMERS}
    with RedisServer() as server, server.client() as client:
        version = client.info("server").get("valkey_version") or client.info("server")["redis_version"]
        print(
            f"{options.jobs:,} no-op jobs, {options.rounds} rounds, Redis {version}, Python {platform.python_version()}"
        )
        for number in range(1, options.rounds + 1):
            for system in CONSUMERS:
                client.flushall()
                enqueued = enqueue(system, options.jobs, server.url)
                drained = drain(system, options.jobs, server.url, client)
                rates[system].append((enqueued, drained))
                print(f"round {number}  {system:14} enqueue {enqueued:8,.0f}/s   drain {drained:8,.0f}/s", flush=True)
    print_medians(rates)


def enqueue(system: str, jobs: int, url: str) -> float:
    """Calls a second."""
    command = [sys.executable, HERE / "enqueue.py", system, str(jobs)]
    return float(subprocess.run(command, env=environment(url), check=True, capture_output=True, text=True).stdout)


def drain(system: str, jobs: int, url: str, client: redis.Redis) -> float:
    """Jobs a second between the first and the last."""
    consumer = subprocess.Popen(
        [sys.executable, "-m", "django", *CONSUMERS[system]],
        env=environment(url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        first, last = (next_mark(client), next_mark(client))
    finally:
        consumer.terminate()
        consumer.wait(30)
    return jobs / (last - first)


def next_mark(client: redis.Redis) -> float:
    while (found := client.blpop(["bench:marks"], timeout=1)) is None:
        pass
    return float(found[1])


def environment(url: str) -> dict[str, str]:
    return {
        **os.environ,
        "BENCH_REDIS": url,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}",
    }


def print_medians(rates: dict[str, list[tuple[float, float]]]) -> None:
    medians = {
        system: [statistics.median(column) for column in zip(*rounds, strict=True)] for system, rounds in rates.items()
    }
    print("\nmedians            enqueue/s     drain/s")
    for system, (enqueued, drained) in medians.items():
        print(f"{system:14} {enqueued:13,.0f} {drained:11,.0f}")
    ratios = [ours / theirs for ours, theirs in zip(medians["django_resque"], medians["huey"], strict=True)]
    print(f"{'ratio':14} {ratios[0]:12.2f}x {ratios[1]:10.2f}x")


if __name__ == "__main__":
    main()
