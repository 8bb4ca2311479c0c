"""Enqueueing when a Django signal is sent."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, TypeVar

from django.apps import apps
from django.db.models.signals import ModelSignal, m2m_changed
from django.db.models.utils import make_model_tuple
from django.dispatch import Signal

from .client import Using, using
from .errors import ConfigurationError, InvalidArguments

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


def enqueue_on(
    signal: Signal,
    *,
    command: str,
    sender: Any = None,
    args: Any = None,
    options: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
    when: Callable[..., object] | None = None,
    raw: bool = False,
    dispatch_uid: Hashable | None = None,
    **choices: Any,
) -> Registration:
    """Enqueue ``command`` whenever ``signal`` is sent.

    As a call it is complete. As a decorator it takes the arguments from a receiver::

        enqueue_on(post_save, sender=User, command="send_welcome", when=lambda created: created)

        @enqueue_on(post_save, sender="shop.Order", command="send_receipt")
        def receipt_of_a_paid_order(instance, **kwargs):
            return (instance.pk, {"template": "fancy"}) if instance.paid else None

    ``sender`` is a model or another sender, or ``"app.Model"``, which need not be loaded yet; None is every sender.

    ``args`` and ``options`` are the command's, or functions that compute them when the signal is sent. What computes
    ``args`` (the receiver does) returns a tuple or list of arguments, or a single one; a dict of options; a pair of
    both; or None for "not this time". Its options win over ``options``. Without ``args`` they are ``(instance.pk,)``,
    or none if the signal carries no instance.

    ``when`` says whether to enqueue. It and the other functions get the signal's keyword arguments, ``sender`` and
    ``signal`` among them: those that they have parameters for, or all of them with ``**kwargs``.

    ``choices`` are those of `using`: ``queue``, ``delay``, ``unique_for`` and so on. Left out are fixtures that are
    being loaded, unless ``raw=True``, and ``m2m_changed`` before the change (``pre_…``), unless there is a ``when``.

    A file that is imported under two names registers once. ``dispatch_uid`` names the registration among those of the
    signal; a default is made of the file, the line, the command and the sender. Raises `ConfigurationError` when
    another, different one has the name already.
    """
    caller = sys._getframe(1)
    place = f"{os.path.realpath(caller.f_code.co_filename)}:{caller.f_lineno}"
    label = _label(sender)
    rule = _Rule(
        sender=label or sender,
        command=command,
        using=using(**choices),
        args=_Computed("args", args),
        options=_Computed("options", options),
        when=_Computed("when", _after_the_change if when is None and signal is m2m_changed else when),
        raw=raw,
    )
    uid = f"{place} {command} {label or repr(sender)}" if dispatch_uid is None else dispatch_uid
    return Registration(signal, sender, uid, rule, place, caller.f_globals).connected()


class _Computed:
    """A value, or a function that computes it from the arguments of a signal."""

    def __init__(self, name: str, given: Any) -> None:
        if inspect.iscoroutinefunction(given):
            raise ConfigurationError(f"{name} of enqueue_on() must be a plain function: {given!r} is async")
        if name == "when" and not (given is None or callable(given)):
            raise ConfigurationError(f"when of enqueue_on() must be a function, not {given!r}")
        self.given = given
        self._parameters = _parameters(given) if callable(given) else None

    def of(self, sent: Mapping[str, Any]) -> Any:
        """The value for what was sent."""
        if not callable(self.given):
            return self.given
        if self._parameters is not None:
            sent = {name: sent[name] for name in self._parameters if name in sent}
        return self.given(**sent)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Computed) and _comparable(self.given) == _comparable(other.given)

    __hash__ = None  # type: ignore[assignment]  # not every value has one


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is enqueued, and when. Two are equal when they do the same."""

    sender: Any
    command: str
    using: Using
    args: _Computed
    options: _Computed
    when: _Computed
    raw: bool

    def enqueue(self, sent: Mapping[str, Any]) -> None:
        """Enqueue what the rule says for the arguments of a signal."""
        if sent.get("raw") and not self.raw:
            return
        if self.when.given is not None and not self.when.of(sent):
            return
        found = _primary_key(sent) if self.args.given is None else self.args.of(sent)
        if found is not None:
            args, options = _arguments(found)
            self.using.enqueue(self.command, *args, **{**(self.options.of(sent) or {}), **options})


class Registration:
    """What `enqueue_on` has registered. Called with a receiver, as its decorator, it takes the arguments from that.

    ``dispatch_uid`` is the name with which Django's ``signal.disconnect`` ends it.
    """

    def __init__(
        self, signal: Signal, sender: Any, dispatch_uid: Hashable, rule: _Rule, place: str, module: Mapping[str, Any]
    ) -> None:
        if not isinstance(signal, Signal):
            raise ConfigurationError(f"enqueue_on() needs a django.dispatch.Signal, not {signal!r}")
        self.dispatch_uid = dispatch_uid
        self._signal = signal
        self._sender = sender
        self._rule = rule
        self._place = place
        self._module = module
        self._first = _registrations.setdefault((signal, dispatch_uid), self)

    def __call__(self, receiver: Receiver) -> Receiver:
        """Let ``receiver`` compute the arguments. Returns it unchanged."""
        if self._rule.args.given is not None:
            raise ConfigurationError(f"enqueue_on() at {self._place} has args, or a receiver, already")
        self._rule = replace(self._rule, args=_Computed("args", receiver))
        self._check(self._rule)
        return receiver

    def connected(self) -> Registration:
        """Listen to the signal; no second time, if this is the import of the same file under another name."""
        args = self._rule.args if self._rule.args.given is not None else self._first._rule.args  # may follow: __call__
        self._check(replace(self._rule, args=args))
        self._first._connect()  # again too: somebody may have disconnected it
        return self

    def receive(self, **sent: Any) -> None:
        """The receiver that Django calls."""
        self._rule.enqueue(sent)

    def _connect(self) -> None:
        if isinstance(self._sender, str) and not isinstance(self._signal, ModelSignal):
            apps.lazy_model_operation(self._connect_to, make_model_tuple(self._sender))
        else:
            self._connect_to(self._sender)

    def _connect_to(self, sender: Any) -> None:
        self._signal.connect(self.receive, sender=sender, weak=False, dispatch_uid=self.dispatch_uid)

    def _check(self, rule: _Rule) -> None:
        """Raise `ConfigurationError` when the name is that of another registration."""
        first = self._first
        imported_twice = first._place == self._place and first._module is not self._module
        if not imported_twice and rule != first._rule:
            raise ConfigurationError(
                f"enqueue_on() at {self._place} has the dispatch_uid {self.dispatch_uid!r} of another, different one at"
                f" {first._place}: pass a dispatch_uid of its own"
            )


_registrations: dict[tuple[Signal, Hashable], Registration] = {}
"""The first registration under each name, by signal and name."""


def _label(sender: Any) -> str:
    """``app.model`` for a model; empty for another sender. Raises `ConfigurationError` for a text that names none."""
    if isinstance(sender, str) or hasattr(sender, "_meta"):
        try:
            return ".".join(make_model_tuple(sender))
        except ValueError as error:
            raise ConfigurationError(f'sender={sender!r}: a text must be a model, as "app.Model"') from error
    return ""


def _after_the_change(action: str) -> bool:
    return action.startswith("post_")


def _parameters(function: Callable[..., Any]) -> list[str] | None:
    """The names that a function can be called with; None for any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]


def _comparable(given: Any) -> Any:
    """Equal for two functions when they were made by the same code and close over the same values."""
    if isinstance(given, FunctionType):
        return given.__code__, given.__closure__, given.__defaults__, given.__kwdefaults__
    return given


def _primary_key(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    return (sent["instance"].pk,) if "instance" in sent else ()


def _arguments(found: Any) -> tuple[Any, Mapping[str, Any]]:
    """The arguments and options in what ``args``, or a receiver, gave."""
    if isinstance(found, bool):
        raise InvalidArguments(
            f"A receiver returned {found}: return the command's arguments, or None for none this time"
        )
    options: Mapping[str, Any] = {}
    if isinstance(found, Mapping):
        found, options = (), found
    elif isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping):
        found, options = found
    return found if isinstance(found, (tuple, list)) else (found,), options
