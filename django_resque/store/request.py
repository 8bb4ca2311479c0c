"""A call of a script as a value: what is sent, and how its reply is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A call of ``lua/<script>.lua``. ``read`` turns the reply into what the caller wants."""

    script: str
    keys: Sequence[str]
    args: Sequence[str | bytes | int | float]
    read: Callable[[Any], T]
