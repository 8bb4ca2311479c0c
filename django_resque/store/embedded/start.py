"""Starting the server, which a process of its own does for whoever needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from ...errors import ConfigurationError
from .locks import STEP, LockFile
from .log import limit, tail
from .place import PATIENCE, Place
from .program import MARK, spawn
from .talk import State, state_of


def start_in_own_session(place: Place, look_every: float, idle: float) -> None:
    """Run ``python -m django_resque.embedded``, which returns when the server is ready."""
    # Of this process' environment the server's must not have: the settings, and marks that say whose child one is.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "DJANGO_SETTINGS_MODULE" and not name.startswith("DJANGO_RESQUE_")
    }
    environment[MARK] = "1"
    environment["TMPDIR"] = tempfile.gettempdir()  # the same place, found anew
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))  # "" is the current folder
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "django_resque.embedded"),
            *(f"--look-every={look_every}", f"--idle={idle}", str(place.folder)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",
        start_new_session=True,  # out of reach of Ctrl-C and of a closing terminal
        check=False,
    )
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()[-4000:]
        raise ConfigurationError(f"The embedded server in {place.folder} did not start. {said}")


def start_server(place: Place) -> None:
    """Start the server unless there is one, and wait until it is ready."""
    with LockFile(place.running) as running:
        # Who has it locked is a server that loads its data, or is ending, or is about to be ended by its keeper.
        deadline = time.monotonic() + 2 * PATIENCE
        while not running.take():
            state = state_of(place.socket)
            if state is State.READY:
                return
            if place.closed.exists():
                place.closed.replace(place.socket)  # its keeper died when it was about to end it
            elif state is State.LOADING:
                deadline = time.monotonic() + 2 * PATIENCE
            elif time.monotonic() > deadline:
                raise ConfigurationError(
                    f"A server (process {running.read()}) uses the folder, and cannot be reached at {place.socket}: end"
                    f" it, or wait until it has ended. The end of its log:\n{tail(place.log)}"
                )
            time.sleep(STEP)
        place.closed.unlink(missing_ok=True)
        limit(place.log)
        said = place.log.stat().st_size if place.log.exists() else 0
        server = spawn(place, running)
        deadline = time.monotonic() + PATIENCE
        while (state := state_of(place.socket)) is not State.READY:
            if state is State.LOADING:
                deadline = time.monotonic() + PATIENCE
            elif server.poll() is not None:
                raise ConfigurationError(f"It ended at once. The end of its log:\n{tail(place.log, said)}")
            elif time.monotonic() > deadline:
                server.kill()
                server.wait()
                raise ConfigurationError(f"It does not answer. The end of its log:\n{tail(place.log, said)}")
            time.sleep(STEP / 2)
