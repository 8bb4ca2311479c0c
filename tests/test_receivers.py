"""Enqueueing when a signal is sent."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import transaction
from django.db.models.signals import ModelSignal, m2m_changed, post_delete, post_save, pre_save
from django.dispatch import Signal

from django_resque import enqueue_on, receivers
from django_resque.errors import ConfigurationError, InvalidArguments, InvalidQueue, UnknownCommand
from django_resque.testing import outbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def collected(settings: Any) -> None:
    settings.RESQUE = {"CHECK": False}


@pytest.fixture(autouse=True)
def forget_registrations() -> Iterator[None]:
    """Those of one test are not those of the next."""
    before = set(receivers._registrations)
    yield
    for key in set(receivers._registrations) - before:
        registration = receivers._registrations.pop(key)
        if isinstance(registration._signal, ModelSignal):
            registration._signal.disconnect(sender=registration._sender, dispatch_uid=registration.dispatch_uid)
    apps._pending_operations.pop(("unheard_of", "model"), None)


def calls() -> list[tuple[Any, ...]]:
    """The jobs that were enqueued, as (command, *arguments, options if there are any)."""
    return [(job.command, *job.args, *([job.options] if job.options else [])) for job in outbox]


# -- the signals -------------------------------------------------------------------------------------------------------


def test_saving_a_model_enqueues_with_its_primary_key():
    enqueue_on(post_save, sender=User, command="send_welcome")
    user = User.objects.create(username="ada")
    assert calls() == [("send_welcome", user.pk)]


def test_only_a_new_object_with_created():
    enqueue_on(post_save, sender=User, command="send_welcome", when=lambda created: created)
    user = User.objects.create(username="ada")
    user.save()
    assert calls() == [("send_welcome", user.pk)]


def test_after_a_delete_the_job_has_the_key_that_the_object_had():
    enqueue_on(post_delete, sender=User, command="forget_user")
    user = User.objects.create(username="ada")
    pk = user.pk
    user.delete()
    assert user.pk is None
    assert calls() == [("forget_user", pk)]


def test_a_change_of_a_many_to_many_relation_enqueues_once_it_is_done():
    enqueue_on(m2m_changed, sender=User.groups.through, command="refresh_rights")
    user = User.objects.create(username="ada")
    user.groups.add(Group.objects.create(name="authors"))
    user.groups.clear()
    assert calls() == [("refresh_rights", user.pk)] * 2


def test_with_a_when_a_change_is_seen_before_it_is_done_too():
    enqueue_on(
        m2m_changed, sender=User.groups.through, command="keep_rights", when=lambda action: action == "pre_clear"
    )
    user = User.objects.create(username="ada")
    user.groups.add(Group.objects.create(name="authors"))
    user.groups.clear()
    assert calls() == [("keep_rights", user.pk)]


def test_any_signal_will_do():
    paid = Signal()
    enqueue_on(paid, command="ship")
    paid.send(sender=None)
    paid.send(sender="anybody", instance=User(pk=7))
    assert calls() == [("ship",), ("ship", 7)]


def test_a_sender_that_is_no_model_is_told_from_others():
    paid, shop, market = Signal(), object(), object()
    enqueue_on(paid, sender=shop, command="ship")
    paid.send(sender=market)
    assert calls() == []
    paid.send(sender=shop)
    assert calls() == [("ship",)]


def test_loading_fixtures_enqueues_nothing_unless_asked_for(tmp_path: Path):
    enqueue_on(post_save, sender=Group, command="left_out")
    enqueue_on(post_save, sender=Group, command="asked_for", raw=True)
    fixture = tmp_path / "groups.json"
    fixture.write_text(json.dumps([{"model": "auth.group", "pk": 5, "fields": {"name": "authors"}}]))
    call_command("loaddata", str(fixture), verbosity=0)
    assert calls() == [("asked_for", 5)]


# -- senders by name ---------------------------------------------------------------------------------------------------


def test_a_sender_can_be_named():
    enqueue_on(post_save, sender="auth.User", command="send_welcome")
    User.objects.create(username="ada")
    Group.objects.create(name="authors")
    assert len(outbox) == 1


def test_a_sender_of_a_signal_of_ones_own_can_be_named():
    paid = Signal()
    enqueue_on(paid, sender="auth.User", command="ship")
    paid.send(sender=User)
    paid.send(sender=Group)
    assert len(outbox) == 1


@pytest.mark.parametrize("signal", [post_save, Signal()])
def test_a_named_sender_need_not_be_loaded_yet(signal: Signal):
    enqueue_on(signal, sender="unheard_of.Model", command="ship")
    assert ("unheard_of", "model") in apps._pending_operations


def test_a_text_that_names_no_model_is_refused():
    with pytest.raises(ConfigurationError, match=r'"app\.Model"'):
        enqueue_on(post_save, sender="User", command="send_welcome")


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "expected"),
    [
        ((1, "a"), None, (1, "a")),
        ([1, "a"], None, (1, "a")),
        ((), None, ()),
        ("abc", None, ("abc",)),
        (None, {"size": 3}, (7, {"size": 3})),
        (lambda instance: (instance.pk, "a"), None, (7, "a")),
        (lambda instance: instance.pk, None, (7,)),
        (lambda **sent: sorted(sent), None, ("color", "instance", "sender", "signal")),
        (lambda color="none", *, shape="round": (color, shape), None, ("red", "round")),
        ((1,), lambda color: {"color": color}, (1, {"color": "red"})),
        ((1,), lambda color: None, (1,)),
        (lambda color: {"color": color}, {"size": 3, "color": "none"}, ({"size": 3, "color": "red"},)),
        (lambda color: ((1, 2), {"color": color}), {"size": 3}, (1, 2, {"size": 3, "color": "red"})),
        (lambda color: (1, {"color": color}), None, (1, {"color": "red"})),
    ],
)
def test_arguments_are_values_or_computed_from_the_signal(args: Any, options: Any, expected: tuple[Any, ...]):
    painted = Signal()
    enqueue_on(painted, command="show", args=args, options=options)
    painted.send(sender=None, instance=User(pk=7), color="red")
    assert calls() == [("show", *expected)]


def test_none_is_not_this_time():
    painted = Signal()
    enqueue_on(painted, command="show", args=lambda color: (color,) if color == "red" else None)
    painted.send(sender=None, color="blue")
    painted.send(sender=None, color="red")
    assert calls() == [("show", "red")]


def test_true_and_false_are_no_arguments():
    painted = Signal()
    enqueue_on(painted, command="show", args=lambda color: color == "red")
    with pytest.raises(InvalidArguments, match="returned False"):
        painted.send(sender=None, color="blue")


def test_when_decides_before_arguments_are_computed():
    painted = Signal()
    enqueue_on(painted, command="show", when=lambda **sent: "color" in sent, args=lambda color: (color,))
    painted.send(sender=None)
    painted.send(sender=None, color="red")
    assert calls() == [("show", "red")]


def test_the_choices_of_using_can_be_made(settings: Any):
    painted = Signal()
    enqueue_on(painted, command="show", queue="slow", on_commit=False)
    with transaction.atomic():
        painted.send(sender=None)
        transaction.set_rollback(True)
    assert [job.queue for job in outbox] == ["slow"]
    enqueue_on(painted, command="look", check=True)
    with pytest.raises(UnknownCommand):
        painted.send(sender=None)


# -- the decorator -----------------------------------------------------------------------------------------------------


def test_a_receiver_returns_the_arguments():
    @enqueue_on(post_save, sender=User, command="send_welcome")
    def welcome(instance: User, created: bool, **kwargs: Any) -> Any:
        return (instance.pk, {"template": "fancy"}) if created else None

    user = User.objects.create(username="ada")
    user.save()
    assert calls() == [("send_welcome", user.pk, {"template": "fancy"})]


def test_a_decorated_receiver_stays_a_function():
    painted = Signal()

    @enqueue_on(painted, command="show")
    def show(color: str) -> str:
        return color

    assert show("red") == "red"
    assert calls() == []


def test_when_and_options_hold_for_a_receiver_too():
    painted = Signal()

    @enqueue_on(painted, command="show", options={"size": 3}, when=lambda color: color != "blue")
    def show(color: str) -> tuple[str]:
        return (color,)

    painted.send(sender=None, color="blue")
    painted.send(sender=None, color="red")
    assert calls() == [("show", "red", {"size": 3})]


def test_a_receiver_and_args_are_one_too_many():
    painted = Signal()
    registration = enqueue_on(painted, command="show", args=(1,))
    with pytest.raises(ConfigurationError, match="has args, or a receiver, already"):
        registration(lambda color: color)


# -- transactions ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_waits_for_the_transaction_of_the_signal(settings: Any, clean_redis: redis.Redis):
    settings.RESQUE = {"CHECK": False, "TESTING": "real"}
    enqueue_on(post_save, sender=User, command="send_welcome")
    with transaction.atomic(using="other"):
        User.objects.using("other").create(username="ada")
        assert clean_redis.llen("resque:queue:default") == 0
    assert clean_redis.llen("resque:queue:default") == 1
    with transaction.atomic(using="other"):
        User.objects.using("other").create(username="bob")
        transaction.set_rollback(True, using="other")
    assert clean_redis.llen("resque:queue:default") == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_of_a_delete_waits_for_the_transaction_of_the_delete_itself(settings: Any, clean_redis: redis.Redis):
    settings.RESQUE = {"CHECK": False, "TESTING": "real"}
    seen = []
    enqueue_on(post_delete, sender=User, command="forget_user")
    post_delete.connect(see := lambda **kwargs: seen.append(clean_redis.llen("resque:queue:default")), sender=User)
    User.objects.create(username="ada").delete()
    post_delete.disconnect(see, sender=User)
    assert seen == [0]
    assert clean_redis.llen("resque:queue:default") == 1


def test_what_cannot_be_enqueued_is_raised_where_the_signal_is_sent():
    enqueue_on(pre_save, sender=User, command="send_welcome")
    with pytest.raises(InvalidArguments, match="None"):
        User.objects.create(username="ada")


# -- one registration under one name -----------------------------------------------------------------------------------

RECEIVERS = """
from django_resque import enqueue_on

def register(signal, senders=(None,), commands=("show",), **more):
    return [enqueue_on(signal, sender=sender, command=command, **more) for sender in senders for command in commands]

def decorate(signal, **more):
    @enqueue_on(signal, command="show", **more)
    def receiver(color):
        return (color,)

def decorate_differently(signal, **more):
    @enqueue_on(signal, command="show", **more)
    def receiver(color):
        return (color.upper(),)

def register_lambdas(signal, colors):
    for chosen in colors:
        enqueue_on(signal, command="show", when=lambda color, chosen=chosen: color == chosen, args=())
"""


def imported(path: Path, name: str) -> Any:
    """The file as a module of that name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "receivers.py"
    path.write_text(RECEIVERS)
    return path


@pytest.fixture
def module(file: Path) -> Any:
    return imported(file, "receivers")


def test_a_file_imported_under_two_names_enqueues_once(file: Path, tmp_path: Path):
    (tmp_path / "link.py").symlink_to(file)
    painted, mixed = Signal(), Signal()
    for path, name in [(file, "receivers"), (file, "app.receivers"), (tmp_path / "link.py", "link")]:
        module = imported(path, name)
        module.register(painted, args=("here",))
        module.decorate(mixed)
    painted.send(sender=None)
    mixed.send(sender=None, color="red")
    assert calls() == [("show", "here"), ("show", "red")]


def test_a_function_of_a_file_imported_twice_is_its_first(file: Path):
    painted = Signal()
    for name in ("receivers", "app.receivers"):
        module: ModuleType = imported(file, name)
        module.register(painted, when=lambda: True, args=lambda name=name: (name,))
    painted.send(sender=None)
    assert calls() == [("show", "receivers")]


def test_registering_the_same_twice_enqueues_once(module: Any):
    painted, mixed = Signal(), Signal()
    for _time in (1, 2):
        module.register(painted)
        module.decorate(mixed)
        module.register_lambdas(mixed, ["blue"])
    painted.send(sender=None)
    mixed.send(sender=None, color="red")
    assert calls() == [("show",), ("show", "red")]


def test_a_loop_registers_every_sender_and_every_command(module: Any):
    painted = Signal()
    one, two = object(), object()
    module.register(painted, senders=[User, "auth.Group", one, two, None], commands=["show", "tell"])
    for sender in (User, Group, one, two):
        outbox.clear()
        painted.send(sender=sender)
        assert sorted(calls()) == [("show",), ("show",), ("tell",), ("tell",)]  # by itself, and as any sender


def test_a_loop_over_signals_registers_with_each(module: Any):
    for signal in (post_save, post_delete):
        module.register(signal, senders=[User])
    user = User.objects.create(username="ada")
    pk = user.pk
    user.delete()
    assert calls() == [("show", pk), ("show", pk)]


def test_a_model_and_its_name_are_the_same_sender(module: Any):
    painted = Signal()
    module.register(painted, senders=["auth.User"])
    module.register(painted, senders=[User])
    painted.send(sender=User)
    assert len(outbox) == 1


def test_functions_that_close_over_other_values_are_different(module: Any):
    with pytest.raises(ConfigurationError, match="pass a dispatch_uid of its own"):
        module.register_lambdas(Signal(), ["red", "blue"])


@pytest.mark.parametrize(
    "difference",
    [
        {"commands": ["tell"]},
        {"senders": [User]},
        {"args": (2,)},
        {"options": {"size": 3}},
        {"when": lambda: True},
        {"queue": "slow"},
        {"track": False},
        {"raw": True},
    ],
)
def test_a_second_different_registration_under_one_uid_is_an_error(difference: Any, module: Any, file: Path):
    painted = Signal()
    same = {"dispatch_uid": "shown", "args": (1,)}
    module.register(painted, **same)
    module.register(painted, **same)
    with pytest.raises(ConfigurationError, match="'shown'") as raised:
        module.register(painted, **{**same, **difference})
    assert str(raised.value).count(f"{file}:5") == 2


def test_the_error_names_both_places(module: Any, file: Path):
    painted = Signal()
    module.decorate(painted, dispatch_uid="shown")
    with pytest.raises(ConfigurationError) as raised:
        module.decorate_differently(painted, dispatch_uid="shown")
    assert f"{file}:8" in str(raised.value)
    assert f"{file}:13" in str(raised.value)
    painted.send(sender=None, color="red")
    assert calls() == [("show", "red")]


def test_a_registration_that_was_disconnected_can_be_made_again(module: Any):
    painted = Signal()
    (registration,) = module.register(painted)
    painted.disconnect(dispatch_uid=registration.dispatch_uid)
    painted.send(sender=None)
    assert calls() == []
    module.register(painted)
    painted.send(sender=None)
    assert calls() == [("show",)]


# -- before Django is ready -------------------------------------------------------------------------------------------


def test_the_models_of_an_app_can_register_receivers_for_themselves(tmp_path: Path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(
        """
from django.db import models
from django.db.models.signals import post_init

from django_resque import enqueue_on

enqueue_on(post_init, sender="shop.Order", command="send_receipt", args=("by name",))

class Order(models.Model):
    pass

enqueue_on(post_init, sender=Order, command="send_receipt", args=("by class",))
"""
    )
    program = """
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_resque", "shop"], RESQUE={"CHECK": False})

import django
django.setup()

from django.test.utils import setup_test_environment
setup_test_environment()

from django_resque.testing import outbox
from shop.models import Order
Order()
print(*(job.args[0] for job in outbox), sep=", ")
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("by name, by class\n", "")


# -- what is refused at once -------------------------------------------------------------------------------------------


def test_wrong_choices_are_refused_when_they_are_registered():
    async def wait(**kwargs: Any) -> bool:
        return True

    with pytest.raises(InvalidQueue):
        enqueue_on(post_save, command="show", queue="a:b")
    with pytest.raises(ConfigurationError, match="must be a function"):
        enqueue_on(post_save, command="show", when=True)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="async"):
        enqueue_on(post_save, command="show", when=wait)
    with pytest.raises(ConfigurationError, match="async"):
        enqueue_on(Signal(), command="show")(wait)
    with pytest.raises(ConfigurationError, match=r"django\.dispatch\.Signal"):
        enqueue_on(User, command="show")  # type: ignore[arg-type]


def test_limits_of_the_jobs_can_be_named():
    moved = Signal()
    enqueue_on(moved, command="send_welcome", args=("ada",), timeout=timedelta(minutes=1), on_crash="fail")
    moved.send(sender=None)
    (job,) = outbox
    assert job.extra == {"timeout": 60, "on_crash": "fail"}
