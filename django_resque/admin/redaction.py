"""Hiding what not everybody who may see the dashboard may read: passwords, tokens and the like.

What stands under a name that looks sensitive is hidden, and what the command declares as ``sensitive``. A positional
argument has the name that the command's parser gives it; where nobody can tell its name, it is hidden too. What was
hidden in a job's arguments is also hidden in the texts around it, such as its output.
"""

from __future__ import annotations

import json
import re
from argparse import PARSER, ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
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
_DEEPEST = 50
"""Levels of a value that are looked through; what stands deeper is hidden. Commands' arguments have fewer."""
_MOST_SECRETS = 1_000
"""Hidden values that are looked for in a text; a text about a job that has more is hidden altogether."""
_MOST_PLACES = 50
"""Places at which a text may begin to be cut within a hidden value."""


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
        return value if self.reveal else self._value(value, _declared(command))

    def text(self, text: str, *jobs: Job | None) -> str:
        """A text in which the values are hidden that are given to sensitive names (``token=…``), and those that are
        hidden in the arguments of these jobs."""
        if self.reveal:
            return text
        shown = _GIVEN.sub(lambda found: found["name"] + HIDDEN, text[:_LONGEST_TEXT])
        secrets = set(islice((secret for job in jobs if job for secret in self._secrets(job)), _MOST_SECRETS + 1))
        if len(secrets) > _MOST_SECRETS:
            return HIDDEN
        for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
            shown = _without_ends(shown.replace(form, HIDDEN), form)
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

    def _value(self, value: Any, declared: frozenset[str], level: int = 0) -> Any:
        if not isinstance(value, (Mapping, list, tuple)):
            return value
        if level == _DEEPEST:
            return HIDDEN
        if isinstance(value, Mapping):
            return {
                name: HIDDEN if _hides(str(name), declared) else self._value(each, declared, level + 1)
                for name, each in value.items()
            }
        return [self._value(each, declared, level + 1) for each in value]


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
    """The texts and numbers in a value, however deep; those that are long enough to be looked for."""
    values = [value]
    while values:
        each = values.pop()
        if isinstance(each, Mapping):
            values += each.values()
        elif isinstance(each, (list, tuple)):
            values += each
        elif not isinstance(each, bool) and len(str(each)) >= _LEAST:
            yield str(each)


def _forms(secret: str) -> Iterator[str]:
    """How a value stands in a text: as it is, or as Python or JSON quote it."""
    yield secret
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]


def _without_ends(text: str, secret: str) -> str:
    """A text that may have been cut within ``secret``: without the beginning of it with which it ends, and without the
    end of it with which it begins."""
    body = text.rstrip("…")
    at = len(body)
    for _place in range(_MOST_PLACES):
        at = body.rfind(secret[:_LEAST], 0, at + _LEAST - 1) if at else -1
        if at < 0 or len(body) - at >= len(secret):
            break
        if body[at:] == secret[: len(body) - at]:
            text = body[:at] + HIDDEN + text[len(body) :]
            break
    end = 0
    for _place in range(_MOST_PLACES):
        at = text.find(secret[-_LEAST:], max(0, end - _LEAST + 1))
        end = at + _LEAST
        if at < 0 or end >= len(secret):
            break
        if text[:end] == secret[-end:]:
            return HIDDEN + text[end:]
    return text


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
