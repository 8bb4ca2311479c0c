"""The values that a job carries."""

from __future__ import annotations

import datetime
import enum
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from django_resque.command import normalise
from django_resque.errors import InvalidArguments


class Colour(enum.Enum):
    RED = "red"


class Size(models.TextChoices):
    LARGE = "L", "large"


class Level(enum.IntEnum):
    HIGH = 3


ID = UUID("12345678-1234-5678-1234-567812345678")
ZONE = datetime.timezone(datetime.timedelta(hours=1))

AS_TYPED = [
    ("text", "text"),
    (mark_safe("<b>"), "<b>"),
    (7, 7),
    (7.5, 7.5),
    (True, True),
    (ID, str(ID)),
    (Decimal("1.50"), "1.50"),
    (Path("a/b"), "a/b"),
    (datetime.date(2026, 11, 20), "2026-11-20"),
    (datetime.time(13, 21), "13:21:00"),
    (datetime.datetime(2026, 11, 20, 13, 21, 45, tzinfo=ZONE), "2026-11-20T13:21:45+01:00"),
    (Colour.RED, "red"),
    (Size.LARGE, "L"),
    (Level.HIGH, 3),
    (gettext_lazy("Yes"), "Yes"),
    (SimpleLazyObject(lambda: "lazy"), "lazy"),
]


@pytest.mark.parametrize(("value", "written"), AS_TYPED, ids=lambda value: type(value).__name__)
def test_values_are_written_as_a_person_would_type_them(value: Any, written: Any):
    args, options = normalise([value], {"name": value})
    assert args == [written]
    assert options == {"name": written}
    assert json.loads(json.dumps([args, options])) == [[written], {"name": written}]
    assert isinstance(args[0], type(written))


def test_lists_among_the_positional_arguments_are_spread():
    assert normalise([1, [2, "a"], (ID,), []], {}) == ([1, 2, "a", str(ID)], {})


def test_an_option_may_be_none_or_a_list_or_a_list_of_lists():
    options = {"nothing": None, "ids": (ID, 2, None), "pairs": [("a", ID), ["b", 1]]}
    assert normalise([], options) == (
        [],
        {"nothing": None, "ids": [str(ID), 2, None], "pairs": [["a", str(ID)], ["b", 1]]},
    )


REFUSED = [
    (None, "a command line has no None"),
    ({"a": 1}, "json.dumps"),
    (User(pk=5), r"of type User: pass user\.pk"),
    (SimpleLazyObject(lambda: User(pk=5)), r"of type User: pass user\.pk"),
    (User.objects.none(), "values_list"),
    (b"bytes", "text"),
    ({1, 2}, "sorted"),
    ([[1]], "no further list"),
    ([None], "a command line has no None"),
    (datetime.timedelta(1), "total_seconds"),
    (object(), "a job carries texts"),
]


@pytest.mark.parametrize(("value", "advice"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_no_shell_could_be_given_is_refused_with_advice(value: Any, advice: str):
    with pytest.raises(InvalidArguments, match=f"ositional argument 2 is .*{advice}"):
        normalise(["a", value], {})


@pytest.mark.parametrize("value", [{"a": 1}, User(pk=5), [User(pk=5)], [{}], object()])
def test_an_option_cannot_carry_objects(value: Any):
    with pytest.raises(InvalidArguments, match="The option 'user' is"):
        normalise([], {"user": value})


@pytest.mark.parametrize(
    "name",
    [
        *["settings", "pythonpath", "stdout", "stderr", "skip_checks", "skip-checks", "no_color", "force_color"],
        *["traceback", "version", "help", "_resque"],
    ],
)
def test_options_of_the_process_are_refused(name: str):
    with pytest.raises(InvalidArguments, match=name):
        normalise([], {name: "x"})
