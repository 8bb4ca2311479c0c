"""One connection, with and without waiting: replies in pieces, requests that do not fit, connections that fail."""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_resque.errors import StoreError, StoreUnavailable
from django_resque.store import Line, Request, Turn, store
from django_resque.store.line import OutOfMemory
from django_resque.store.scripts import script

from .processes_in_redis import TurnTaker
from .proxy import Proxy
from .servers import RedisServer

ANY: Request[Any] = Request("turn", ["a key"], ["an argument"], lambda reply: reply)
"""For a server that does not care what it is asked."""


class Puppet:
    """A server that answers to what redis-py says when it connects, and else says what a test has it say."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: queue.Queue[list[bytes]] = queue.Queue()
        self.reads = threading.Event()  # without it, no large argument is read
        self.reads.set()
        self.client: socket.socket
        self.accepted = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def say(self, data: bytes) -> None:
        """Send this to the client that has connected last."""
        self.client.sendall(data)

    def hang_up(self) -> None:
        """Close the connection to the client that has connected last."""
        self.client.shutdown(socket.SHUT_RDWR)

    def asked(self) -> list[bytes]:
        """The next request."""
        return self.requests.get(timeout=10)

    def close(self) -> None:
        self.reads.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.accepted:
            with suppress(OSError):
                self.hang_up()
            self.client.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.client = client
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client.makefile("rb") as file:
            while line := file.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int(file.readline()[1:])
                    if size > 1_000_000:
                        self.reads.wait()
                    words.append(file.read(size + 2)[:-2])
                if words[0] in (b"CLIENT", b"SELECT"):
                    client.sendall(b"+OK\r\n")
                else:
                    self.requests.put(words)


@pytest.fixture
def puppet(settings: Any) -> Iterator[Puppet]:
    puppet = Puppet()
    location = f"redis://127.0.0.1:{puppet.port}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    yield puppet
    store().close()
    puppet.close()


@pytest.fixture
def proxy(redis_server: RedisServer, settings: Any) -> Iterator[Proxy]:
    """What stands between `store` and Redis."""
    with Proxy(redis_server.port) as proxy:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": proxy.url}}
        yield proxy
        store().close()


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    """Makes lines."""
    made: list[Line] = []

    def make(**limits: float) -> Line:
        made.append(store().line(**limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


def wait(line: Line, *, writing: bool = False) -> None:
    """Sleep until the socket is ready."""
    ready = select.select([line.fileno()], [line.fileno()] if writing else [], [], 10)
    assert any(ready), "nothing has happened within 10 s"


def answer(line: Line) -> Any:
    """What a loop does until the reply is there."""
    while True:
        wait(line, writing=line.sending)
        if line.sending:
            line.flush()
            continue
        received = line.receive()
        if received is not None:
            return received[0]


def turn_of(process: TurnTaker, wanted: int) -> Request[Any]:
    process.number += 1
    return process.reservations.turn(Turn(process.number, (), {"default": wanted}))


# -- replies in pieces -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (b":1\r\n", 1),
        (b"$-1\r\n", None),
        (b"$0\r\n\r\n", b""),
        (b"$6\r\n\r\n$1\r\n\r\n", b"\r\n$1\r\n"),
        (b"*0\r\n", []),
        (b"*3\r\n$2\r\nok\r\n*2\r\n$1\r\na\r\n:-5\r\n$4\r\n\x00\xff\r\n\r\n", [b"ok", [b"a", -5], b"\x00\xff\r\n"]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_reply_may_come_in_pieces_of_any_size(puppet, line, said, reply, size):
    line = line()
    line.send(ANY)
    assert puppet.asked()[1:] == [script("turn").sha.encode(), b"1", b"a key", b"an argument"]
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    for piece in pieces[:-1]:
        puppet.say(piece)
        wait(line)
        assert line.receive() is None
    puppet.say(pieces[-1])
    wait(line)
    assert line.receive() == (reply,)
    assert line.receive() is None  # nothing else was asked


def test_an_error_may_come_in_pieces(puppet, line):
    line = line()
    line.send(ANY)
    puppet.asked()
    for byte in b"-ERR a misfortune\r":
        puppet.say(bytes([byte]))
        wait(line)
        assert line.receive() is None
    puppet.say(b"\n")
    wait(line)
    with pytest.raises(StoreError, match="a misfortune"):
        line.receive()


def test_nothing_is_received_before_anything_comes(puppet, line):
    line = line()
    assert line.receive() is None
    line.send(ANY)
    puppet.asked()
    assert line.receive() is None
    puppet.say(b":1\r\n")
    assert answer(line) == 1


def test_a_large_reply_comes_whole(line, clean_redis):
    process = TurnTaker()
    payloads = [os.urandom(9_000) for _ in range(100)]
    clean_redis.rpush("resque:queue:default", *payloads)
    line = line()
    line.send(turn_of(process, 100))
    assert [job.payload for job in answer(line).jobs] == payloads
    process.close()


# -- requests that do not fit ------------------------------------------------------------------------------------------


def test_a_request_that_does_not_fit_is_sent_bit_by_bit(puppet, line):
    line = line()
    puppet.reads.clear()
    args = [os.urandom(3_000_000), os.urandom(5_000_000)]
    line.send(Request("turn", [], args, lambda reply: reply))
    assert line.sending
    line.flush()  # the other side does not read: nothing happens, and nobody waits
    assert line.sending
    puppet.reads.set()
    while line.sending:
        wait(line, writing=True)
        line.flush()
    assert puppet.asked()[3:] == args
    puppet.say(b"$4\r\ndone\r\n")
    assert answer(line) == b"done"


def test_a_large_request_reaches_redis(line, clean_redis):
    process = TurnTaker()
    line = line()
    clean_redis.script_flush()  # so that it goes there twice, with the script the second time
    line.send(process.reservations.turn(Turn(1, [], [("x" * 100_000, 1)] * 100)))
    assert answer(line).state == "ok"
    process.close()


def test_a_connection_that_ends_while_a_request_is_sent_has_perhaps_got_it(puppet, line):
    line = line()
    puppet.reads.clear()
    line.send(Request("turn", [], [bytes(8_000_000)], lambda reply: reply))
    os.close(puppet.client.detach())
    with pytest.raises(StoreUnavailable) as caught:
        answer(line)
    assert caught.value.sent
    assert (line.fileno(), line.sending) == (-1, False)


# -- scripts and errors ------------------------------------------------------------------------------------------------


def test_a_script_that_the_server_does_not_know_is_sent_without_a_word(line, clean_redis):
    process, line = TurnTaker(), line()
    clean_redis.rpush("resque:queue:default", *range(5))
    for _ in range(5):
        clean_redis.script_flush()
        line.send(turn_of(process, 1))
        assert len(answer(line).jobs) == 1
    assert line.connections == 1
    process.close()


@pytest.mark.parametrize("ask", [lambda line: (line.send(ANY), answer(line)), lambda line: line.ask(ANY)])
@pytest.mark.parametrize(
    ("said", "error", "sent"),
    [
        (b"-ERR a misfortune", StoreError, None),
        (b"-WRONGTYPE of a key", StoreError, None),
        (b"-STALE turn 1", StoreError, None),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", OutOfMemory, None),
        (b"-BUSY Redis is busy running a script.", StoreUnavailable, False),
        (b"-LOADING Redis is loading the dataset in memory", StoreUnavailable, False),
        (b"-MASTERDOWN Link with MASTER is down", StoreUnavailable, False),
        (b"-READONLY You can't write against a read only replica.", StoreUnavailable, False),
        (b"-NOREPLICAS Not enough good replicas to write.", StoreUnavailable, False),
        (b"-NOAUTH Authentication required.", StoreUnavailable, False),
        (b"?what", StoreUnavailable, True),
    ],
)
def test_errors_are_ours_and_the_line_goes_on(puppet, line, ask, said, error, sent):
    line = line()
    replies = iter([said + b"\r\n", b":1\r\n"])

    def serve() -> None:
        for reply in replies:
            puppet.asked()
            puppet.say(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(StoreError) as caught:
        ask(line)
    assert type(caught.value) is error
    if sent is not None:
        assert caught.value.sent is sent
    ask(line)
    thread.join()


# -- connections that fail ---------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_has_not_been_asked(line, proxy):
    proxy.refuse()
    line = line()
    for ask in (line.send, line.ask):
        with pytest.raises(StoreUnavailable) as caught:
            ask(ANY)
        assert not caught.value.sent
        assert (line.fileno(), line.sending) == (-1, False)
        assert line.receive() is None


@pytest.mark.parametrize("keep", [0, 1, 5, 30])
def test_a_reply_that_is_cut_off_is_in_doubt_and_the_same_turn_is_asked_for_again(line, proxy, clean_redis, keep):
    process, line = TurnTaker(), line()
    clean_redis.rpush("resque:queue:default", "a")
    turn = turn_of(process, 1)
    proxy.truncate_replies(1, to=b"EVAL", keep=keep)
    line.send(turn)
    with pytest.raises(StoreUnavailable) as caught:
        answer(line)
    assert caught.value.sent
    assert line.fileno() == -1
    line.send(turn)
    assert [job.payload for job in answer(line).jobs] == [b"a"]
    assert line.connections == 2
    process.close()


@pytest.mark.parametrize("ask", [lambda line: (line.send(ANY), answer(line))[1], lambda line: line.ask(ANY)])
def test_a_connection_that_was_closed_meanwhile_is_made_anew(puppet, line, ask):
    line = line()
    for accepted in (1, 2, 3):
        thread = threading.Thread(target=lambda: (puppet.asked(), puppet.say(b":1\r\n")))
        thread.start()
        assert ask(line) == 1
        thread.join()
        assert puppet.accepted == line.connections == accepted
        puppet.hang_up()
        wait(line)


def test_what_nobody_asked_for_is_not_the_next_reply(puppet, line):
    line = line()
    line.send(ANY)
    puppet.asked()
    puppet.say(b":1\r\n:2\r\n")
    assert answer(line) == 1
    line.send(ANY)
    puppet.asked()
    assert puppet.accepted == 2
    puppet.say(b":3\r\n")
    assert answer(line) == 3


def test_a_reply_that_nobody_waits_for_any_more_is_not_the_next_one(puppet, line):
    line = line()
    line.send(ANY)
    puppet.asked()
    first = puppet.client
    line.send(ANY)
    puppet.asked()
    assert puppet.accepted == 2
    with suppress(OSError):
        first.sendall(b":1\r\n")
    puppet.say(b":2\r\n")
    assert answer(line) == 2


def test_half_a_reply_is_forgotten_with_its_connection(puppet, line):
    line = line()
    line.send(ANY)
    puppet.asked()
    puppet.say(b"*2\r\n:1\r\n")
    wait(line)
    assert line.receive() is None
    line.close()
    line.send(ANY)
    puppet.asked()
    puppet.say(b":2\r\n")
    assert answer(line) == 2


# -- both ways in turn -------------------------------------------------------------------------------------------------


def test_waiting_and_not_waiting_take_turns(line, proxy, clean_redis):
    """Not waiting leaves no short time limit behind, and waiting no long one."""
    process, line = TurnTaker(), line()
    clean_redis.rpush("resque:queue:default", *range(6))
    for _ in range(3):
        line.send(turn_of(process, 1))
        assert len(answer(line).jobs) == 1
        slow = proxy.delay_replies(0.1, 1, to=b"EVAL")
        assert len(line.ask(turn_of(process, 1)).jobs) == 1
        assert slow.happened == 1
    assert line.connections == 1
    process.close()


def test_a_limit_ends_waiting(line, proxy):
    process, line = TurnTaker(), line(socket_timeout=0.05)
    proxy.hold_replies(to=b"EVAL")
    with pytest.raises(StoreUnavailable) as caught:
        line.ask(turn_of(process, 1))
    assert caught.value.sent
    proxy.heal()
    process.close()
