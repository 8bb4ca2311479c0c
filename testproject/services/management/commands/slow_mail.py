import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "A mail server that takes its time. Receives on 127.0.0.1 and keeps every mail in a Maildir."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from services.mail import serve  # noqa: PLC0415  aiosmtpd is only needed here
        except ImportError as error:
            raise CommandError(f'{error}. Run: pip install "aiosmtpd"') from error
        try:
            asyncio.run(serve(settings.MAIL_PORT, settings.MAILBOX))
        except OSError as error:
            raise CommandError(f"Port {settings.MAIL_PORT} cannot be used: {error.strerror}") from error
