"""django_resque beside its peers: see harness/measures/ for what is measured, and RESULTS.md for what came out.

A run of all measures with the default settings writes bench/RESULTS.md; any other prints its table, and writes it to
--output when that is given.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent))  # the private Redis of the tests; the folder above is not installed

from harness import report  # noqa: E402
from harness.ground import Ground  # noqa: E402
from harness.measure import Measure, Samples, Scale, carry_out  # noqa: E402
from harness.measures import MEASURES  # noqa: E402

RESULTS = BENCH / "RESULTS.md"


def main() -> None:
    options = parse()
    scale = Scale(
        jobs=options.jobs or (2_000 if options.quick else 20_000),
        rounds=options.rounds or (1 if options.quick else 3),
        quick=options.quick,
    )
    measures = [
        cls(scale) for cls in MEASURES if (cls.name in options.only if options.only else options.slow or not cls.slow)
    ]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was started is ended
    results: list[tuple[Measure, Samples]] = []
    begun = time.monotonic()
    with Ground(logs=options.logs) as ground:
        redis, load = ground.redis, os.getloadavg()[0]
        print(f"{redis}; {scale.jobs:,} jobs, {scale.rounds} rounds; load {load:.2f}", flush=True)
        for measure in measures:
            print(f"{measure.name}: {measure.title}", flush=True)
            results.append((measure, carry_out(measure, ground, lambda line: print(line, flush=True))))
    print(f"\n{time.monotonic() - begun:.0f} s\n")
    print("\n".join(report.table(results)))
    whole = not options.only and not options.quick and scale == Scale()
    output = options.output or (RESULTS if whole else None)
    if output:
        report.write(output, results, redis=redis, load=load, notes=BENCH / "notes.md", command=command(options))
        print(f"\nWritten to {output}")


def command(options: argparse.Namespace) -> str:
    """How this run can be repeated."""
    chosen = [f"--{name}" for name in ("quick", "slow") if getattr(options, name)]
    chosen += [f"--{name} {value}" for name in ("rounds", "jobs") if (value := getattr(options, name)) is not None]
    chosen += [f"--only {','.join(options.only)}"] if options.only else []
    return f'make bench ARGS="{" ".join(chosen)}"' if chosen else "make bench"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [cls.name for cls in MEASURES]
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="MEASURE,…",
        help=f"these alone: {', '.join(names)}",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="of each system (default: 3)")
    parser.add_argument("--jobs", type=int, metavar="N", help="in a drain (default: 20000)")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of everything; figures mean nothing")
    parser.add_argument("--slow", action="store_true", help="with those that take minutes")
    parser.add_argument("--output", type=Path, metavar="PATH", help="where to write the report")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what consumers write there")
    options = parser.parse_args()
    for name in options.only or ():
        if name not in names:
            parser.error(f"there is no measure {name!r}; there are {', '.join(names)}")
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    main()
