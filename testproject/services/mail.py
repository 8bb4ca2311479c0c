"""The slow mail server: every mail takes a while, and is kept in a Maildir."""

from __future__ import annotations

import asyncio
import mailbox
import signal
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

SECONDS = 0.3
"""How long it takes to receive a mail."""


class Keeper:
    """What aiosmtpd calls with each mail."""

    def __init__(self, folder: Path, slowness: float) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.mailbox = mailbox.Maildir(folder, create=True)
        self.slowness = slowness

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        await asyncio.sleep(SECONDS * self.slowness)
        self.mailbox.add(envelope.content)
        return "250 Kept"


async def serve(port: int, folder: Path, slowness: float = 1.0) -> None:
    """Receive mails on 127.0.0.1 until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    keeper = Keeper(folder, slowness)
    server = await loop.create_server(lambda: SMTP(keeper, hostname="localhost", loop=loop), "127.0.0.1", port)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()
