"""The Lua scripts of ``lua/``, one object each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """A script's source and the SHA-1 by which a server that has seen it knows it."""

    source: bytes
    sha: str


@cache
def script(name: str) -> Script:
    """The script in ``lua/<name>.lua``."""
    source = resources.files(__package__).joinpath("lua", f"{name}.lua").read_bytes()
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
