"""The embedded server: a private Redis or Valkey for a project that has none, shared by its processes.

Everything about it lies in one folder:

    server.sock   what clients connect to (elsewhere when this path would be too long, see `Place`)
    server.lock   locked by whoever starts or ends the server, for as long as that takes
    running.lock  locked by the server itself, which inherits the descriptor: it is held for exactly as long as a server
                  lives, whatever became of those who started it; holds its process id
    keeper.lock   locked by the keeper, likewise
    server.log    what server and keeper said; server.log.1 is what they said before that
    and the server's append-only file

The locks are `flock`s, which end with their holders. So nothing here trusts a file that a crash may have left behind.

Whoever needs the server first runs ``python -m django_resque.embedded``, in a session of its own. That starts the
server and leaves a *keeper* behind, which ends the server when nobody has used it for a while. A server whose keeper
was killed goes on, and the next to need it gives it a new keeper. Neither is a child of a process of the project's.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ...errors import ConfigurationError
from .keeper import Keeper
from .locks import LockFile
from .log import say_into
from .place import Place
from .program import find_server, is_embedded_server
from .start import start_in_own_session, start_server

__all__ = ["IDLE", "LOOK_EVERY", "ensure_running", "find_server", "is_embedded_server", "serve", "stop"]

LOOK_EVERY = 10.0
"""Seconds between two looks of the keeper at who is connected."""
IDLE = 60.0
"""Seconds that nobody but the keeper was connected, after which it ends the server."""


def ensure_running(folder: Path, *, look_every: float = LOOK_EVERY, idle: float = IDLE) -> Path:
    """The socket of the server in ``folder``, which is started when it is not running.

    Safe to call from any number of processes and threads, at any time. Raises `ConfigurationError`, with a message
    that says what to do, when there can be no server. ``look_every`` and ``idle`` are for a keeper that this call
    starts.
    """
    place = Place.of(folder)
    try:
        if place.served():
            return place.socket
        place.prepare()
        with place.locked():
            if not place.served():
                start_in_own_session(place, look_every, idle)
    except OSError as error:
        raise ConfigurationError(
            f'The embedded server\'s folder {place.folder} cannot be used: {error}. Name another in RESQUE["EMBEDDED"].'
        ) from error
    return place.socket


def stop(folder: Path) -> bool:
    """End the server in ``folder``, whoever uses it. False when none was running."""
    place = Place.of(folder)
    place.check()
    if not place.running.exists():
        return False
    with place.locked(), LockFile(place.running) as running:
        ended = place.end_server(running, signal.SIGTERM)
        place.tidy()
        return ended


def serve(folder: Path, *, look_every: float, idle: float) -> None:
    """Start the server in ``folder`` unless it runs, leave a keeper behind, and return.

    For a process of its own, which starts nothing else: ``python -m django_resque.embedded``.
    """
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the starter may have had reasons to block some; we have none
    place = Place.of(folder)
    place.prepare()
    start_server(place)
    with LockFile(place.keeper) as keeping:
        # Tried again for a moment: who looks whether there is a keeper locks this file for an instant too.
        if not keeping.take(within=0.2):
            return
        if os.fork():
            return
        keeping.write(os.getpid())
        say_into(place.log)
        Keeper(place, keeping, look_every, idle).run()
