"""``python -m django_resque.embedded FOLDER`` starts the embedded server in a folder, unless it runs there.

`django_resque.store.embedded` runs this, in a session of its own. No settings are loaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from django_resque.errors import ConfigurationError
from django_resque.store import embedded


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the server, or with ``--stop`` end it. Exits with a message when that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m django_resque.embedded",
        description="Start django_resque's embedded server in a folder, unless it runs there already. It ends a minute"
        " after the last client has gone.",
    )
    parser.add_argument("folder", type=Path, help="where its data and its socket are")
    parser.add_argument("--stop", action="store_true", help="end the server, whoever uses it")
    parser.add_argument("--look-every", type=float, default=embedded.LOOK_EVERY, help=argparse.SUPPRESS)
    parser.add_argument("--idle", type=float, default=embedded.IDLE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.stop:
            embedded.stop(options.folder)
        else:
            embedded.serve(options.folder, look_every=options.look_every, idle=options.idle)
    except ConfigurationError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
