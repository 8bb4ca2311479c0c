"""``manage.py resque``: who is meant, what is started, and what is said. That it acts is seen in ``processes/``."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from django_resque import conf, launching
from django_resque.conf import config
from django_resque.errors import ConfigurationError, NoSuchWorker, NotStarted
from django_resque.management import background
from django_resque.management.background import Plan
from django_resque.management.commands.resque import Command
from django_resque.management.following import Follower
from django_resque.management.running import process_info
from django_resque.management.terminal import Terminal
from django_resque.management.verbs import VERBS, UsageError
from django_resque.management.verbs.restart import why_not
from django_resque.management.verbs.start import Start, StartScheduler, plan_of
from django_resque.management.verbs.tail import View, logs
from django_resque.management.verbs.targets import chosen
from django_resque.store import store

from . import verbs
from .processes_in_redis import TurnTaker
from .test_terminal import Screen

HERE = socket.gethostname()


def parsed(*argv: str) -> dict[str, Any]:
    """The options of a verb, as it gets them."""
    parser = Command().create_parser("manage.py", "resque")
    parser.called_from_command_line = False  # raise, do not exit
    return vars(parser.parse_args(argv))


def resque(*argv: str) -> tuple[int, str, str]:
    """The exit code, and what was written to both streams."""
    stdout, stderr = io.StringIO(), io.StringIO()
    try:
        call_command("resque", *argv, stdout=stdout, stderr=stderr)
        status: Any = 0
    except SystemExit as end:
        status = end.code
    except CommandError as error:
        status = error.returncode
        stderr.write(str(error))
    return status, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def register(clean_redis: redis.Redis) -> Iterator[Callable[..., TurnTaker]]:
    """Registers worker processes, of which none runs."""
    made: list[TurnTaker] = []

    def make(name: str, *, queues: str = "default", mode: str = "running", **info: object) -> TurnTaker:
        made.append(TurnTaker(name, workers=[f"{info.get('host', HERE)}~{name}-1:42:{queues}"]))
        about = {"queues": queues, "host": HERE, "kind": "worker", **info}
        clean_redis.hset(f"resque:django:process:{name}", mapping={"info": json.dumps(about), "mode": mode})
        return made[-1]

    yield make
    for taker in made:
        taker.close()
    store().close()


# -- the command -------------------------------------------------------------------------------------------------------


def test_without_a_verb_it_says_which_there_are(capsys: pytest.CaptureFixture[str]):
    assert resque()[0] == 2
    shown = capsys.readouterr().out
    assert all(f"    {verb.name} " in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help_and_the_options_of_every_command(verb: Any, capsys: pytest.CaptureFixture[str]):
    assert resque(verb.name, "--help")[0] == 0
    assert "options:" in capsys.readouterr().out
    parser = Command().create_parser("manage.py", "resque")
    assert parser.parse_args(["-v2", "stop", "--traceback"]).verbosity == 2
    assert parser.parse_args(["stop", "-v", "3"]).verbosity == 3
    assert parser.parse_args(["stop"]).verbosity == 1


def test_no_verb_is_there_twice():
    assert len({verb.name for verb in VERBS}) == len(VERBS)


def test_when_redis_is_away_it_says_so_in_one_line():
    nowhere = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        status, out, err = resque("stop", "--all")
    assert (status, out) == (1, "")
    assert err.startswith("Redis is not available: ")
    assert "\n" not in err


# -- who is meant ------------------------------------------------------------------------------------------------------


def names_of(*argv: str, kind: str = "", mode: str = "", typed: str | None = None) -> list[str]:
    terminal = Terminal(io.StringIO(), io.StringIO())
    if typed is not None:
        terminal = Terminal(Screen(), Screen(), stdin=Screen(typed))
    return [target.name for target in chosen(parsed("pause", *argv), terminal, "pause", kind=kind, mode=mode)]


@pytest.fixture
def three(register: Callable[..., TurnTaker]) -> None:
    register("aaaaaa", queues="mail,default")
    register("bbbbbb", queues="mail", host="web2", mode="paused")
    register("cccccc", kind="scheduler", queues="", host="web2")


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["--all"], {"aaaaaa", "bbbbbb", "cccccc"}),
        (["--host", "web2"], {"bbbbbb", "cccccc"}),
        (["-q", "default"], {"aaaaaa"}),
        (["-q", "mail", "--host", "web2"], {"bbbbbb"}),
        (["cccccc"], {"cccccc"}),
        (["bbbbbb", "cccccc", "bbbbbb"], {"bbbbbb", "cccccc"}),
        ([f"{HERE}~aaaaaa-1:42"], {"aaaaaa"}),
        (["web2~bbbbbb-1:42:mail"], {"bbbbbb"}),
    ],
)
@pytest.mark.usefixtures("three")
def test_workers_are_meant_by_name_id_host_and_queue(argv: list[str], names: set[str]):
    found = names_of(*argv)
    assert len(found) == len(names)
    assert set(found) == names


@pytest.mark.usefixtures("three")
def test_what_a_worker_has_to_be_counts_when_it_is_not_named():
    assert set(names_of("--all", kind="worker")) == {"aaaaaa", "bbbbbb"}
    assert names_of("cccccc", kind="worker") == ["cccccc"]
    assert names_of(mode="paused") == ["bbbbbb"]
    assert len(names_of("--all", mode="paused")) == 3  # what is done twice does no harm


@pytest.mark.usefixtures("three")
def test_of_several_one_has_to_say_which():
    with pytest.raises(UsageError, match="There are 2 workers: .*: --all, --host HOST, -q QUEUE, or their names"):
        names_of(kind="worker")
    status, out, err = resque("stop")
    assert (status, out) == (2, "")
    assert "There are 3 workers" in err


@pytest.mark.usefixtures("three")
def test_at_a_terminal_they_are_chosen_from_a_menu():
    assert len(names_of(typed="1,3\n")) == 2
    assert names_of(typed="\n") == []


@pytest.mark.usefixtures("three")
def test_names_and_other_choices_exclude_each_other():
    with pytest.raises(UsageError, match="not both"):
        names_of("aaaaaa", "--host", "web2")


@pytest.mark.usefixtures("three")
def test_who_is_not_there_is_an_error_that_says_who_is():
    status, _, err = resque("stop", "dddddd")
    assert status == 1
    assert "No worker is meant by process dddddd. There are: " in err


def test_what_others_have_written_moves_no_cursor_in_an_error_either(register: Callable[..., TurnTaker]):
    register("aaaaaa", queues="\x1b[2Jmail\x9b")
    register("bbbbbb", host="\u202eweb")
    for argv in (["stop", "dddddd"], ["stop"]):
        status, _, err = resque(*argv)
        assert status
        assert err.isprintable()
        assert "\\x1b[2Jmail\\x9b" in err
        assert "\\u202eweb" in err


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("argv", [["stop", ""], ["pause", "aaaaaa", ""], ["stop", "--host", ""], ["stop", "-q", ""]])
def test_a_name_that_is_empty_as_of_a_variable_that_is_not_set_does_not_mean_all(argv: list[str]):
    ran = verbs.verb(*argv)
    assert ran.code == 2
    assert "is empty" in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ["jobs", "--limit", "9" * 30],
        ["failed", "--offset", "9" * 30],
        ["stop", "--timeout", "1e300"],
        ["stop", "--timeout", "nan"],
        ["schedule", "add", "x", "--every", "9" * 400, "act"],
        ["enqueue", "--wait", "9" * 400, "act", "tell", "x"],
    ],
)
def test_a_number_that_is_too_large_is_a_wrong_command_line(argv: list[str]):
    assert verbs.verb(*argv).code == 2


def test_without_workers_there_is_nobody_to_tell():
    assert resque("stop", "--all") == (1, "", "No worker is registered")


def test_when_all_run_nobody_is_there_to_be_resumed(register: Callable[..., TurnTaker]):
    register("aaaaaa")
    assert resque("resume") == (1, "", "No worker is paused")


def test_other_programs_workers_are_left_out_unless_they_are_named(
    register: Callable[..., TurnTaker], clean_redis: redis.Redis
):
    clean_redis.sadd("resque:workers", "ruby:9:mail")
    with pytest.raises(NoSuchWorker, match="other programs', which take no messages: ruby:9:mail"):
        names_of("--all")
    register("aaaaaa")
    assert names_of("--all") == ["aaaaaa"]
    assert names_of("ruby:9:mail") == ["ruby:9:mail"]
    status, out, _ = resque("pause", "ruby:9:mail")
    assert status == 1
    assert "not ours" in out


def test_who_does_not_answer_is_told_and_the_exit_code_says_so(register: Callable[..., TurnTaker]):
    register("aaaaaa")
    status, out, _ = resque("pause", "--timeout", "0.05", "--json")
    (found,) = json.loads(out)
    assert status == 1
    assert (found["worker"], found["host"], found["outcome"], found["done"]) == ("aaaaaa", HERE, "no_answer", False)


def test_ending_all_jobs_everywhere_needs_a_yes(register: Callable[..., TurnTaker], clean_redis: redis.Redis):
    register("aaaaaa")
    status, _, err = resque("stop", "--all", "--force")
    assert status == 2
    assert "add --yes" in err
    assert clean_redis.keys("resque:django:control:*") == []


# -- pausing queues, and everything ------------------------------------------------------------------------------------


def test_queues_are_paused_one_by_one():
    assert resque("pausequeue", "mail", "low") == (
        0,
        "No jobs are taken from mail any more.\nNo jobs are taken from low any more.\n",
        "There is no such queue yet: mail\nThere is no such queue yet: low\n",
    )
    assert store().control.paused_queues() == ["low", "mail"]
    assert resque("pausequeue", "mail")[1] == "mail was paused before.\n"
    status, out, _ = resque("resumequeue", "mail", "images", "--json")
    assert (status, json.loads(out)) == (
        0,
        [
            {"queue": "mail", "paused": False, "changed": True},
            {"queue": "images", "paused": False, "changed": False},
        ],
    )
    assert store().control.paused_queues() == ["low"]


def test_what_is_paused_is_told(register: Callable[..., TurnTaker]):
    register("aaaaaa", mode="paused")
    register("bbbbbb", mode="paused")
    register("cccccc")
    register("dddddd", kind="scheduler")
    store().ask(store().control.pause_queue("mail"))
    alerts = ["2 of 3 worker processes are paused.", "No jobs are taken from paused queues: mail."]
    assert json.loads(resque("stats", "--json")[1])["alerts"] == alerts
    for words, told in ((["stats"], alerts), (["top", "--once"], alerts), (["queues"], alerts[:1])):
        assert [line for line in resque(*words)[1].splitlines() if line[:1] == "!"] == [f"! {each}" for each in told]


def test_what_cannot_be_a_queue_is_refused():
    for queue in ("two words", "two\nlines", ""):
        ran = verbs.verb("pausequeue", "mail", queue)
        assert ran.code == 2
        assert f"{queue!r} cannot be the name of a queue" in ran.err
    assert store().control.paused_queues() == []


def test_everything_is_paused_by_the_key_of_the_family(clean_redis: redis.Redis):
    assert resque("pause", "--everything")[0] == 0
    assert clean_redis.get("resque:pause-all-workers") == b"true"
    assert json.loads(resque("resume", "--everything", "--json")[1]) == {"paused": False}
    assert not store().control.all_paused()


@pytest.mark.parametrize("more", [["aaaaaa"], ["--all"], ["--host", "web1"], ["-q", "mail"]])
def test_everything_is_for_all(more: list[str]):
    assert resque("pause", "--everything", *more)[0] == 2


# -- what is started ---------------------------------------------------------------------------------------------------


def plan(*argv: str) -> Plan:
    verb = StartScheduler() if argv[0] == "startscheduler" else Start()
    options = parsed(*argv)
    assert options["run"].__self__.name == verb.name
    found: Plan = options["run"].__self__.plan(options)
    return found


def test_a_worker_gets_the_options_that_were_given_and_a_log(settings: Any, tmp_path: Path):
    settings.BASE_DIR = tmp_path
    log = str(tmp_path / "var/log/resque.log")
    assert plan("start") == Plan(["resque_worker", f"--log={log}"], log)
    found = plan(
        *["start", "-n3", "--performers", "2", "-q", "mail,low", "-i", "0.5", "--max-rss=300", "--no-scheduler"],
        *["--log-json", "--log-level", "debug", "--log", "~/{pid}.log", "-v2"],
    )
    log = os.path.expanduser("~/{pid}.log")
    assert found.count == 3
    assert found.arguments == [
        "resque_worker",
        "--queues=mail,low",
        "--performers=2",
        "--interval=0.5",
        "--max-rss=300",
        "--no-scheduler",
        "--log-level=DEBUG",
        "--log-json",
        f"--log={log}",
        "--verbosity=2",
    ]


def test_with_a_handler_the_log_is_for_what_comes_before_it(settings: Any, tmp_path: Path):
    settings.BASE_DIR = tmp_path
    found = plan("start", "--log-handler", "syslog")
    assert found.arguments == ["resque_worker", "--log-handler=syslog"]
    assert found.log == str(tmp_path / "var/log/resque.log")


def test_a_scheduler_is_started_with_its_own_options(tmp_path: Path):
    found = plan("startscheduler", "--log", str(tmp_path / "x"), "--pidfile", "p")
    assert found == Plan(["resque_scheduler", "--pidfile=p", f"--log={tmp_path / 'x'}"], str(tmp_path / "x"))


def test_several_cannot_share_a_pidfile():
    with pytest.raises(UsageError, match="--pidfile is for one worker"):
        plan("start", "-n2", "--pidfile", "p")


def test_without_a_place_for_the_log_one_has_to_be_named(settings: Any):
    del settings.BASE_DIR
    with pytest.raises(NotStarted, match="give --log PATH"):
        plan("start")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(NotStarted, match="Give --log PATH"):
        background.start(Plan(["resque_worker"], str(tmp_path / "file" / "x.log")), 1)


@pytest.mark.parametrize("wrong", [["-n0"], ["--performers=0"], ["--interval=0"], ["--grace=-1"], ["--what"]])
def test_a_wrong_option_is_refused_before_anything_is_started(wrong: list[str]):
    assert resque("start", *wrong)[0] in (1, 2)
    with pytest.raises(CommandError):
        parsed("start", *wrong)


# -- what the settings predefine ---------------------------------------------------------------------------------------


@override_settings(
    RESQUE={
        "WORKERS": {
            "mail": {"queues": ["mail", "low"], "count": 2, "performers": 4, "interval": 0.5, "log": "/var/log/x"},
            "rest": {"queues": "*,!mail", "options": ["--max-rss", "300", "--no-scheduler"]},
        }
    }
)
def test_the_settings_predefine_workers():
    mail, rest = (plan_of(name, entry) for name, entry in config().workers.items())
    assert mail == Plan(
        ["resque_worker", "--queues=mail,low", "--performers=4", "--interval=0.5", "--log=/var/log/x"], "/var/log/x", 2
    )
    log = str(background.default_log())
    assert rest == Plan(
        ["resque_worker", "--queues=*,!mail", "--max-rss=300", "--no-scheduler", f"--log={log}"], log, 1
    )
    status, _, err = resque("load", "mial")
    assert status == 1
    assert "has no 'mial' (did you mean 'mail'?)" in err


@override_settings(BASE_DIR="/srv/site")
@pytest.mark.parametrize(
    ("written", "log"), [("var/x.log", "/srv/site/var/x.log"), ("/var/log/{pid}", "/var/log/{pid}"), ("~/x", None)]
)
def test_the_log_of_a_predefined_worker_does_not_depend_on_where_one_is(written: str, log: str | None):
    assert plan_of("mail", {"log": written}).log == (log or os.path.expanduser(written))


@override_settings(RESQUE={"WORKERS": {"a": {"log": "/dev/null/x.log"}, "b": {"log": "/dev/null/y.log"}}})
def test_those_that_cannot_be_started_do_not_keep_the_others_from_it():
    status, out, err = resque("load", "--json")
    assert (status, json.loads(out)) == (1, [])
    assert err.count("/dev/null cannot be made") == 2


@override_settings(RESQUE={"WORKERS": [{"queues": "mail"}, {}]})
def test_workers_in_a_list_are_numbered():
    assert config().workers == {"1": {"queues": "mail"}, "2": {}}


def test_without_predefined_workers_there_is_nothing_to_load():
    assert resque("load") == (1, "", 'RESQUE["WORKERS"] names no workers')


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("mail", "must be a list of workers, or a dict"),
        ([3], "the worker '1' must be a dict"),
        ({"": {}}, "the name of a worker must be a text"),
        ({1: {}}, "the name of a worker must be a text"),
        ({"mail": {"queue": "x"}}, "unknown key 'queue' (did you mean 'queues'?)"),
        ({"mail": {"queues": []}}, "'queues' of the worker 'mail' must be a list of queues"),
        ({"mail": {"queues": ["a", 1]}}, "must be a list of queues"),
        ({"mail": {"count": 0}}, "'count' of the worker 'mail' must be an integer of at least 1"),
        ({"mail": {"performers": "2"}}, "must be an integer"),
        ({"mail": {"interval": 0}}, "must be a number"),
        ({"mail": {"log": ""}}, "must be the path of a file"),
        ({"mail": {"options": "--burst"}}, "must be a list of texts"),
    ],
)
def test_what_cannot_be_a_worker_is_named(value: object, why: str):
    with override_settings(RESQUE={"WORKERS": value}):
        (problem,) = conf.problems()
        with pytest.raises(ConfigurationError):
            config()
    assert why in problem


@pytest.mark.parametrize("wrong", ["--whatever", "--log-handler=x"])
@override_settings(BASE_DIR="/tmp")
def test_options_that_resque_worker_does_not_take_are_named_with_the_worker(wrong: str):
    entry = {"options": [wrong], "log": "x"}
    with pytest.raises(ConfigurationError, match=r"RESQUE\['WORKERS'\]\['mail'\]: .*(unrecognized|not allowed)"):
        plan_of("mail", entry)


# -- starting again ----------------------------------------------------------------------------------------------------


def genuine(*, argv: list[str]) -> dict[str, Any]:
    """What a process of ours that was started in the background tells about itself."""
    about = {"host": HERE, "launch": "x", "argv": argv, "log": "", "cwd": "/srv/site"}
    return {**about, "seal": launching.seal(about)}


def test_a_folder_is_known_by_the_link_that_led_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "release1").mkdir()
    (tmp_path / "current").symlink_to("release1")
    monkeypatch.chdir(tmp_path / "current")
    for told, folder in (("current", "current"), ("release1", "release1"), ("", "release1"), ("gone", "release1")):
        monkeypatch.setenv("PWD", str(tmp_path / told))
        assert process_info("worker")["cwd"] == str(tmp_path / folder)
    monkeypatch.setenv("PWD", ".")
    assert process_info("worker")["cwd"] == str(tmp_path / "release1")


@override_settings(SECRET_KEY="")
def test_without_a_secret_key_nothing_is_certain():
    assert genuine(argv=[])["seal"] == ""


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (genuine(argv=["resque_worker", "-q", "mail"]), ""),
        (genuine(argv=["other"]), "how it was started is not known"),
        ({**genuine(argv=["resque_worker"]), "argv": ["resque_worker", "--settings=evil"]}, "not known for certain"),
        ({**genuine(argv=["resque_worker"]), "cwd": "/tmp"}, "not known for certain"),
        ({"launch": "x", "argv": ["resque_worker"]}, "not known for certain"),
        ({"argv": ["resque_worker"]}, "it was not started in the background"),
        ({"launch": "x", "argv": ["resque_worker"], "host": "web2"}, "run restart on web2"),
    ],
)
def test_who_cannot_be_started_again_is_left_as_it_is(
    register: Callable[..., TurnTaker], clean_redis: redis.Redis, about: dict[str, Any], why: str
):
    register("aaaaaa", **about)
    (target,) = chosen(parsed("restart"), Terminal(io.StringIO(), io.StringIO()), "restart")
    assert why in why_not(target)
    assert bool(why) == bool(why_not(target))
    if why:
        status, out, err = resque("restart", "aaaaaa")
        assert (status, out) == (1, "")
        assert why in err
        assert clean_redis.keys("resque:django:control:*") == []


def test_who_does_not_stop_is_not_started_again(register: Callable[..., TurnTaker]):
    register("aaaaaa", **genuine(argv=["resque_worker"]))
    status, _, err = resque("restart", "--timeout", "0.05")
    assert status == 1
    assert "aaaaaa has not been stopped, so not started again: no answer" in err


# -- following logs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "resque.log"


def test_the_last_lines_are_read_from_the_end(log: Path):
    lines = [f"line {number} {'x' * 100}" for number in range(5000)]
    log.write_text("\n".join(lines) + "\nnot yet ended")
    for count in (0, 1, 10, 2000, 5000, 9999):
        follower = Follower(str(log))
        assert follower.last(count) == (lines[-count:] if count else [])
        assert follower.new() == []
        follower.close()


def test_what_is_no_regular_file_has_no_lines(log: Path):
    os.mkfifo(log)
    for path in (str(log), "/dev/zero", str(log.parent)):
        follower = Follower(path)
        assert follower.last(10) == []
        assert follower.new() == []
        follower.close()


def test_a_line_is_shown_when_it_has_ended(log: Path):
    log.write_bytes(b"one\ntw")
    follower = Follower(str(log))
    assert follower.last(10) == ["one"]
    with log.open("ab") as file:
        file.write(b"o\r\nthr\xffee\nfour")
    assert follower.new() == ["two", "thr\ufffdee"]
    assert follower.new() == []
    follower.close()


def test_a_line_without_an_end_is_shown_in_pieces(log: Path):
    follower = Follower(str(log))
    log.write_bytes(b"x" * 1_200_000)
    (piece,) = follower.new()
    assert len(piece) > 1 << 20
    follower.close()


def test_a_file_that_is_renamed_is_read_to_its_end_and_then_the_new_one(log: Path):
    log.write_text("one\n")
    follower = Follower(str(log))
    assert follower.last(10) == ["one"]
    old = log.open("a")
    log.rename(log.with_suffix(".1"))
    old.write("two\n")
    old.flush()
    assert follower.new() == ["two"]
    log.write_text("three\n")
    old.write("late\n")
    old.close()
    assert follower.new() == ["late", "three"]
    follower.close()


def test_a_file_that_is_emptied_is_read_from_the_beginning(log: Path):
    log.write_text("a long line\n")
    follower = Follower(str(log))
    follower.last(0)
    log.write_text("new\n")
    assert follower.new() == ["new"]
    follower.close()


def test_a_file_that_does_not_exist_yet_is_awaited(log: Path):
    follower = Follower(str(log))
    assert follower.last(10) == []
    assert follower.new() == []
    log.write_text("one\n")
    assert follower.new() == ["one"]
    log.unlink()
    assert follower.new() == []
    follower.close()


def test_the_logs_are_those_of_the_workers_of_this_host(register: Callable[..., TurnTaker]):
    register("aaaaaa", log="/var/log/a.log", queues="mail")
    register("bbbbbb", log="/var/log/b.log")
    register("cccccc", log="/var/log/b.log")
    register("dddddd", log="/var/log/d.log", host="web2")
    register("eeeeee")
    assert (sorted(logs(parsed("tail"))[0]), logs(parsed("tail"))[1]) == (["/var/log/a.log", "/var/log/b.log"], 1)
    assert logs(parsed("tail", "-q", "mail")) == (["/var/log/a.log"], 0)
    assert logs(parsed("tail", "cccccc", "dddddd")) == (["/var/log/b.log"], 1)


def test_the_last_lines_of_several_logs_have_their_names_before_them(
    register: Callable[..., TurnTaker], tmp_path: Path
):
    for name in ("aaaaaa", "bbbbbb"):
        (tmp_path / f"{name}.log").write_text(f"one\ntwo of {name}\n")
        register(name, log=str(tmp_path / f"{name}.log"))
    status, out, err = resque("tail", "--no-follow", "--lines", "1")
    assert (status, err) == (0, "")
    assert sorted(out.splitlines()) == ["aaaaaa.log | two of aaaaaa", "bbbbbb.log | two of bbbbbb"]
    assert resque("tail", "aaaaaa", "--no-follow")[1] == "one\ntwo of aaaaaa\n"


def test_files_of_one_name_are_told_by_their_folders(tmp_path: Path):
    stdout = io.StringIO()
    view = View(Terminal(stdout, io.StringIO()))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "resque.log").write_text("one\n")
    view.show([str(tmp_path / folder / "resque.log") for folder in ("a", "b")], 5)
    view.close()
    assert stdout.getvalue() == f"{tmp_path}/a/resque.log | one\n{tmp_path}/b/resque.log | one\n"


def test_when_no_worker_runs_the_default_log_is_shown(settings: Any, tmp_path: Path):
    settings.BASE_DIR = tmp_path
    assert resque("tail", "--no-follow")[0] == 1
    path = background.default_log()
    path.parent.mkdir(parents=True)
    path.write_text("its last words\n")
    assert resque("tail", "--no-follow") == (0, "its last words\n", "")
    nowhere = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        status, out, err = resque("tail", "--no-follow")
    assert (status, out) == (0, "its last words\n")
    assert "Redis is not available" in err
