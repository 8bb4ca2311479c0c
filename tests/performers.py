"""Performers without a dispatcher: the test is the one that gives them jobs and reads their reports."""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.db import connections

from django_resque.job import Job
from django_resque.worker.channel import Channel
from django_resque.worker.descendants import mark
from django_resque.worker.performer import Packet, Performer
from django_resque.worker.report import Progress, Report


class PerformerProcess:
    """A performer, forked from the test. ``spare``: it waits at `gate` before its first job."""

    def __init__(
        self, *, max_jobs: int = 1000, max_rss: int | None = None, max_age: float | None = None, spare: bool = False
    ) -> None:
        self.inbox, self.reports = Channel(), Channel()
        self.gate: socket.socket | None = None
        self.output = os.memfd_create("output", os.MFD_CLOEXEC)
        self.status: int | None = None
        self.told: list[Progress] = []
        self._given = 0
        gate = None
        if spare:
            self.gate, gate = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for connection in connections.all(initialized_only=True):
                    del connections[connection.alias]  # the test's, which it guards; a performer begins with none
                self.inbox.writer.close()
                self.reports.reader.close()
                if self.gate is not None:
                    self.gate.close()
                Performer(
                    inbox=self.inbox,
                    reports=self.reports,
                    output=self.output,
                    title=f"resque-0.0 [django {mark(parent)}]",
                    max_jobs=max_jobs,
                    max_rss=max_rss,
                    max_age=max_age,
                    gate=gate,
                    worker="abc123",
                ).run(parent)
            finally:
                os._exit(99)
        self.reports.writer.close()
        if gate is not None:
            gate.close()

    def give(self, *args: Any, timeout: float | None = None, redelivered: bool = False, payload: bytes = b"") -> str:
        """Put a job for ``act`` into the inbox; returns its token."""
        self._given += 1
        token = f"1.{self._given}"
        payload = payload or Job("act", args).payload()
        self.inbox.send(Packet(token, "0" * 32, "default", payload, timeout, redelivered).dump())
        return token

    def report(self, timeout: float = 30) -> Report:
        """The next report; how far its job had come before is in `told`."""
        while True:
            assert select.select([self.reports.reader], [], [], timeout)[0], f"no report within {timeout} s"
            packet = self.reports.receive()
            assert packet is not None, "the performer has ended"
            if not packet.startswith(b"~"):
                return Report.load(packet)
            self.told.append(Progress.load(packet))

    def perform(self, *args: Any, timeout: float | None = None, redelivered: bool = False) -> Report:
        """Give a job and wait for its report."""
        token = self.give(*args, timeout=timeout, redelivered=redelivered)
        report = self.report()
        assert report.token == token
        return report

    def title(self) -> str:
        return Path(f"/proc/{self.pid}/cmdline").read_text().rstrip("\0")

    def wait(self) -> int:
        """The exit status of the performer, negative for a signal."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        self.inbox.close()
        self.reports.close()
        if self.gate is not None:
            self.gate.close()
        os.close(self.output)
