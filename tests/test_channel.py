"""Packets between processes: whole, in order, each to one reader."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from django_resque.worker.channel import _LIMIT, Channel


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


@pytest.mark.parametrize("size", [1, 2, 1000, _LIMIT - 1, _LIMIT, _LIMIT + 1, 5_000_000])
def test_a_packet_arrives_whole_whatever_its_size(channel: Channel, size: int):
    packet = os.urandom(size)
    channel.send(packet)
    assert channel.receive() == packet


def test_packets_arrive_in_order_small_ones_and_large_ones(channel: Channel):
    packets = [b"a", b"b" * _LIMIT, b"\n", b"c" * (_LIMIT + 1), b"\n", b"d"]
    for packet in packets:
        channel.send(packet)
    assert [channel.receive() for _ in packets] == packets


def test_an_empty_channel_makes_nobody_wait_who_does_not_want_to(channel: Channel):
    with pytest.raises(BlockingIOError):
        channel.receive(wait=False)
    channel.send(b"a")
    assert channel.receive(wait=False) == b"a"
    assert channel.reader.getblocking()  # the flag would hold for the other process too


@pytest.mark.parametrize("wait", [True, False])
def test_a_closed_writer_is_the_end_after_what_it_had_sent(channel: Channel, wait: bool):
    channel.send(b"a")
    channel.send(b"b" * (_LIMIT + 1))
    channel.writer.close()
    assert channel.receive(wait=wait) == b"a"
    assert channel.receive(wait=wait) == b"b" * (_LIMIT + 1)
    assert channel.receive(wait=wait) is None
    assert channel.receive(wait=wait) is None


@pytest.mark.parametrize("size", [1, _LIMIT + 1])
def test_nobody_is_told_anything_once_the_reader_is_closed(channel: Channel, size: int):
    channel.reader.close()
    with pytest.raises(BrokenPipeError):
        channel.send(b"x" * size)


def test_large_packets_leave_no_descriptor_open(channel: Channel):
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        channel.send(b"x" * (_LIMIT + 1))
        channel.receive()
    channel.send(b"x" * (_LIMIT + 1))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("padding", [b"", b"x" * (_LIMIT + 1)], ids=["small", "large"])
def test_what_is_taken_back_is_exactly_what_the_other_reader_has_not_got(channel: Channel, padding: bytes):
    sent = [b"%d " % number + padding for number in range(100)]
    for packet in sent:
        channel.send(packet)
    told, telling = os.pipe()
    if (child := os.fork()) == 0:
        try:
            channel.writer.close()
            while (packet := channel.receive()) is not None:
                os.write(telling, packet.partition(b" ")[0] + b"\n")
            os._exit(0)
        finally:
            os._exit(1)  # there must not be two pytests
    os.close(telling)
    with open(told, "rb") as tell:
        got = [int(tell.readline()) for _ in range(3)]  # now both take as fast as they can
        taken_back = []
        try:
            while True:
                taken_back.append(channel.receive(wait=False))
        except BlockingIOError:
            pass
        channel.writer.close()
        got += map(int, tell)
    assert os.waitpid(child, 0)[1] == 0
    assert got == sorted(got)
    assert taken_back == [packet for number, packet in enumerate(sent) if number not in got]


def test_a_full_channel_is_said_to_be_full_where_nobody_may_wait():
    channel = Channel()
    with pytest.raises(BlockingIOError):
        for _ in range(10_000):
            channel.send(b"x" * 4_000, wait=False)
    assert channel.receive() == b"x" * 4_000
    channel.send(b"y", wait=False)
    channel.close()
