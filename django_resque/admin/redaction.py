"""Hiding what not everybody who may see the dashboard may read: passwords, tokens and the like.

What stands under a name that looks sensitive is hidden, and what the command declares as ``sensitive``. A positional
argument has the name that the command's parser gives it; where nobody can tell its name, it is hidden too. What was
hidden in a job's arguments is also hidden in the texts around it, such as its output.
"""

from __future__ import annotations

import re
from argparse import PARSER, ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..command import argument_names, find
from ..job import Job

HIDDEN = "●●●"
_SENSITIVE = re.compile(r"password|passwd|secret|token|key|auth|cookie|card|iban", re.IGNORECASE)
_GIVEN = re.compile(
    r"""(?P<name>(?:password|passwd|secret|token|key|auth|cookie|card|iban)[\w-]{0,100}["']?\s{0,3}[=:]\s{0,3})"""
    r"""(?P<value>"(?:[^"\\\n]|\\.){0,5000}"|'(?:[^'\\\n]|\\.){0,5000}'|(?:Bearer |Basic )?[^\s,;&"'}\])]+)""",
    re.IGNORECASE,
)
"""A value that is given to a sensitive name. It begins within the name: a longer pattern takes forever over a text
without blanks."""
_LEAST = 4
"""Characters of a hidden value that are looked for in other texts: shorter ones stand everywhere by chance."""
_LONGEST_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Redactor:
    """Hides what is sensitive; nothing with ``reveal``."""

    reveal: bool

    def job(self, job: Job) -> Job:
        """The same job with its sensitive arguments and options replaced."""
        if self.reveal:
            return job
        declared = _declared(job.command)
        names = argument_names(job.command, job.args)
        args = tuple(
            self._value(value, declared) if name is not None and not _hides(name, declared) else HIDDEN
            for name, value in zip(names, job.args, strict=True)
        )
        return replace(job, args=args, options=self._value(dict(job.options), declared))

    def value(self, value: Any, command: str = "") -> Any:
        """Any JSON value, such as a job's result, with what stands under sensitive names replaced."""
        if self.reveal:
            return value
        try:
            return self._value(value, _declared(command))
        except RecursionError:  # as deeply nested as can just be read
            return HIDDEN

    def text(self, text: str, *jobs: Job | None) -> str:
        """A text in which the values are hidden that are given to sensitive names (``token=…``), and those that are
        hidden in the arguments of these jobs."""
        if self.reveal:
            return text
        shown = _GIVEN.sub(lambda found: found["name"] + HIDDEN, text[:_LONGEST_TEXT])
        for secret in sorted({secret for job in jobs if job for secret in self._secrets(job)}, key=len, reverse=True):
            shown = shown.replace(secret, HIDDEN)
        return shown

    def told(self, text: str, command: str, job: Job | None) -> str:
        """A text that comes from a job of this command: hidden altogether where the job's arguments are not known (any
        more), and may have held what is to be hidden."""
        if not text or self.reveal or job is not None:
            return self.text(text, job)
        return HIDDEN if _may_be_given_secrets(command) else self.text(text)

    def _secrets(self, job: Job) -> Iterator[str]:
        hidden = self.job(job)
        for before, after in zip(job.args, hidden.args, strict=True):
            yield from _replaced(before, after)
        yield from _replaced(dict(job.options), dict(hidden.options))

    def _value(self, value: Any, declared: frozenset[str]) -> Any:
        if isinstance(value, Mapping):
            return {
                name: HIDDEN if _hides(str(name), declared) else self._value(each, declared)
                for name, each in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._value(each, declared) for each in value]
        return value


def _replaced(before: Any, after: Any) -> Iterator[str]:
    """The texts in ``before`` in whose place something else stands in ``after``."""
    if after == HIDDEN and before != HIDDEN:
        yield from _texts(before)
    elif isinstance(before, Mapping):
        for name, value in before.items():
            yield from _replaced(value, after[name])
    elif isinstance(before, (list, tuple)):
        for one, other in zip(before, after, strict=True):
            yield from _replaced(one, other)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, (Mapping, list, tuple)):
        within: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for each in within:
            yield from _texts(each)
    elif not isinstance(value, bool) and len(str(value)) >= _LEAST:
        yield str(value)


def _hides(name: str, declared: frozenset[str]) -> bool:
    return _key(name) in declared or _SENSITIVE.search(name) is not None


def _key(name: str) -> str:
    return name.replace("-", "_").casefold()


def _may_be_given_secrets(command: str) -> bool:
    try:
        info = find(command)
        parser = info.cls().create_parser("manage.py", command)
    except (Exception, SystemExit):  # whatever a project's module or parser raises
        return True
    return bool(info.sensitive) or any(_SENSITIVE.search(name) for name in _names(parser))


def _names(parser: ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield action.dest
        if action.nargs == PARSER and isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from _names(below)


def _declared(command: str) -> frozenset[str]:
    try:
        return frozenset(map(_key, find(command).sensitive))
    except Exception:  # whatever importing a command raises; then nothing is known of it
        return frozenset()
