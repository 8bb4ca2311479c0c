"""Which queues a worker serves, with Resque's semantics for lists, globs and negations."""

from __future__ import annotations

import pytest

from django_resque.errors import InvalidQueue
from django_resque.worker.selection import Selection

EXISTING = {"mail", "high", "low", "test_a", "test_b", "mail-2"}


@pytest.mark.parametrize(
    ("text", "served"),
    [
        # names: in the order given, whether they exist or not
        ("mail", ["mail"]),
        ("low,high", ["low", "high"]),
        (" low , new,", ["low", "new"]),
        ("low,high,low", ["low", "high"]),
        ("Mail", ["Mail"]),
        # globs: what exists, by the alphabet, each queue once
        ("*", ["high", "low", "mail", "mail-2", "test_a", "test_b"]),
        ("low,*", ["low", "high", "mail", "mail-2", "test_a", "test_b"]),
        ("test_*,new,mail*", ["test_a", "test_b", "new", "mail", "mail-2"]),
        ("test_?", ["test_a", "test_b"]),
        ("test_[b-z]", ["test_b"]),
        ("test_[!b-z]", ["test_a"]),
        ("Mail*", []),
        # negations: never served, wherever they stand
        ("*,!test_*", ["high", "low", "mail", "mail-2"]),
        ("!test_*,*", ["high", "low", "mail", "mail-2"]),
        ("*,!mail", ["high", "low", "mail-2", "test_a", "test_b"]),
        ("*,!*a*", ["high", "low", "test_b"]),
        ("low,high,!low", ["high"]),
        ("!test_*", ["high", "low", "mail", "mail-2"]),
        ("!test_*,!mail*", ["high", "low"]),
    ],
)
def test_a_list_selects(text: str, served: list[str]):
    assert Selection(text).among(EXISTING) == served


@pytest.mark.parametrize(
    ("text", "shown", "changes"),
    [
        ("low,high", "low,high", False),
        ("low, high,!test_*", "low,high", False),
        ("low,mail*", "low,mail*", True),
        ("*,!test_*", "*", True),
        ("!test_*", "*", True),
    ],
)
def test_a_worker_id_shows_the_queues_without_the_negations(text: str, shown: str, changes: bool):
    selection = Selection(text)
    assert str(selection) == shown
    assert selection.changes is changes


@pytest.mark.parametrize(
    "text", ["", " ", ",", "mail,!mail", "a b", "a:b", "mail,a\tb", "!", "mail,!", "!a b", "x" * 101]
)
def test_what_cannot_be_a_queue_is_refused(text: str):
    with pytest.raises(InvalidQueue):
        Selection(text)


def test_a_queue_whose_name_has_control_characters_is_left_alone():
    assert Selection("*").among({"a\nb", "a\0b", "with space", "é", ""}) == ["", "with space", "é"]
