"""What the slow mail server has received. Needs no aiosmtpd."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True)
class ReceivedMail:
    """One mail in the Maildir."""

    to: str
    subject: str
    kind: str
    received: datetime


def received_mails(limit: int | None = None) -> list[ReceivedMail]:
    """The latest first."""
    files = sorted(_files(), key=lambda file: file.stat().st_mtime, reverse=True)
    return [_read(file) for file in files[:limit]]


def count_mails() -> int:
    """How many there are."""
    return sum(1 for _file in _files())


def _files() -> Iterator[Path]:
    # mailbox.Maildir would do, but creates the folders and moves what it has shown
    return (settings.MAILBOX / "new").glob("*")


def _read(file: Path) -> ReceivedMail:
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    html = message.get_body(("html",)) is not None
    return ReceivedMail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        kind="HTML and text" if html else "text",
        received=datetime.fromtimestamp(file.stat().st_mtime, UTC),
    )
