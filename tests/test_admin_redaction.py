"""What is hidden from those who may see the dashboard, and may not see sensitive values."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.core.management.base import BaseCommand

from django_resque.admin.redaction import HIDDEN, Redactor
from django_resque.job import Job
from tests.sample_commands import command, installed

hiding, revealing = Redactor(reveal=False), Redactor(reveal=True)


def login() -> type[BaseCommand]:
    """A command with a positional argument of every kind."""

    def add_arguments(parser: Any) -> None:
        parser.add_argument("user")
        parser.add_argument("password")
        parser.add_argument("places", nargs="*")
        parser.add_argument("--pin")
        parser.add_argument("--note")

    return command(add_arguments, sensitive=["pin", "places"])


@pytest.mark.parametrize(
    "name", ["password", "db_password", "API-Key", "secret", "auth_header", "cookies", "cardNumber", "IBAN", "token"]
)
def test_an_option_with_a_sensitive_name_is_hidden(name: str):
    job = Job("act", options={name: "hunter2", "user": "ada"})
    assert hiding.job(job).options == {name: HIDDEN, "user": "ada"}
    assert revealing.job(job) is job


def test_positional_arguments_are_hidden_by_the_names_that_the_parser_gives_them():
    with installed(login()):
        shown = hiding.job(Job("sample", ("ada", "hunter2", "here", "there"), {"pin": 1234, "note": "x"}))
    assert shown.args == ("ada", HIDDEN, HIDDEN, HIDDEN)
    assert shown.options == {"pin": HIDDEN, "note": "x"}


def test_arguments_of_subcommands_have_names_too():
    shown = hiding.job(Job("mailing", ("send_sign_up_email", 42), {"template": "fancy"}))
    assert shown.args == ("send_sign_up_email", 42)


@pytest.mark.parametrize(
    "job",
    [
        Job("Archive::Files", ("hunter2", 1)),
        Job("flush", ("hunter2", 1)),
        Job("no_such_command", ("hunter2", 1)),
        Job("mailing", ("no_such_subcommand", "hunter2")),
        Job("", ("hunter2", 1)),
    ],
    ids=str,
)
def test_where_nobody_knows_the_names_positional_arguments_are_hidden(job: Job):
    assert hiding.job(job).args == (HIDDEN, HIDDEN)


def test_values_are_hidden_at_any_depth():
    value = {"users": [{"name": "ada", "token": {"id": 1, "value": "hunter2"}}], "count": 1}
    assert hiding.value(value) == {"users": [{"name": "ada", "token": HIDDEN}], "count": 1}
    assert hiding.value({"token": 1}, "mailing") == {"token": HIDDEN}
    assert revealing.value(value) is value
    assert hiding.value("a text") == "a text"
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert str(hiding.value(deep)).strip("[]") == repr(HIDDEN)
    assert revealing.value(deep) is deep


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token=hunter2 and more", "token=●●● and more"),
        ('{"api_key": "hun\\"ter2", "n": 1}', '{"api_key": ●●●, "n": 1}'),
        ("PASSWORD: 'hunter 2'.", "PASSWORD: ●●●."),
        ("Authorization: Bearer abc.def", "Authorization: ●●●"),
        ("connect(secret_name=hunter2, n=1)", "connect(secret_name=●●●, n=1)"),
        ("the key of the matter", "the key of the matter"),
    ],
)
def test_what_is_given_to_a_sensitive_name_in_a_text_is_hidden(text: str, shown: str):
    assert hiding.text(text) == shown
    assert revealing.text(text) == text


def test_what_is_hidden_in_the_arguments_is_hidden_in_texts_about_the_job():
    job = Job("act", options={"token": "hunter2", "nested": {"secret": ["swordfish", 12345]}, "cookie": "x"})
    text = hiding.text("no user hunter2, swordfish or 12345; x is too short to be looked for", job)
    assert text == "no user ●●●, ●●● or ●●●; x is too short to be looked for"


@pytest.mark.parametrize("text", ["x" * 1_000_000, "key" * 300_000, 'key="' * 200_000, "token=" * 160_000 + "x"])
def test_no_text_takes_forever(text: str):
    started = time.process_time()
    hiding.text(text)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ValueError: no user hunter2sec", "ValueError: no user ●●●"),
        ("ValueError: no user hunter2sec…", "ValueError: no user ●●●…"),
        ("er2secret is no user", "●●● is no user"),
        ("hunt", "●●●"),
        ("hunter has hunted", "hunter has hunted"),
    ],
)
def test_what_is_left_of_a_hidden_value_where_a_text_was_cut_is_hidden_too(text: str, shown: str):
    assert hiding.text(text, Job("act", options={"token": "hunter2secret"})) == shown


@pytest.mark.parametrize("secret", ['pa"ss\\word', "pass\nword", "pässwörd", 'it\'s "both"'])
def test_a_hidden_value_is_found_as_python_and_json_quote_it(secret: str):
    job = Job("act", options={"token": secret})
    for written in (secret, repr(secret), json.dumps(secret), json.dumps([secret], ensure_ascii=False)):
        assert "word" not in hiding.text(f"refused: {written}", job)
        assert "both" not in hiding.text(f"refused: {written}", job)


@pytest.mark.parametrize("depth", [10, 100, 400])
def test_values_are_hidden_however_deep_they_are_nested(depth: int):
    value: Any = "hunter2"
    for _level in range(depth):
        value = {"user": [value]}
    job = Job("act", options={"token": value, "user": value})
    assert "hunter2" not in str(hiding.job(job).options["token"])
    assert ("hunter2" in json.dumps(hiding.job(job).options["user"])) == (depth == 10)
    assert hiding.text("this is hunter2", job) == "this is ●●●"


def test_a_text_about_a_job_with_very_many_hidden_values_is_hidden_altogether():
    job = Job("act", options={"tokens": list(range(10_000, 20_000))})
    assert hiding.text("any text", job) == HIDDEN


@pytest.mark.parametrize(("name", "is_hidden"), [("mailing", True), ("no_such_command", True), ("echo", False)])
def test_what_a_job_wrote_is_hidden_where_nobody_knows_what_is_to_be_hidden_in_it(name: str, is_hidden: bool):
    assert hiding.told("it was hunter2", name, None) == (HIDDEN if is_hidden else "it was hunter2")
    assert hiding.told("", name, None) == ""
    assert revealing.told("it was hunter2", name, None) == "it was hunter2"
    assert hiding.told("it was hunter2", name, Job(name)) == "it was hunter2"
