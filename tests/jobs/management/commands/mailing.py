"""A command with subcommands, as a project would write it."""

from __future__ import annotations

from django_resque.management import JobCommand


class Command(JobCommand):
    """Mails to users."""

    queue = "mail"
    sensitive = ["token"]

    def send_sign_up_email(self, user_id: int, *, template: str = "plain", dry_run: bool = False) -> None:
        """Welcome a new user.

        100% of them get one.
        """
        self.stdout.write(f"{user_id!r} {template!r} {dry_run!r}")

    def remind(self, *user_ids: int, subject: str = "Hello") -> str:
        """Remind users of us."""
        return f"{subject} {self._all(user_ids)}"

    def _all(self, user_ids: tuple[int, ...]) -> str:
        return " and ".join(map(str, user_ids))
