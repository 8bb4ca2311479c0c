from smtplib import SMTPConnectError, SMTPServerDisconnected

from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.core.management.base import CommandError
from django.template.loader import render_to_string

from django_resque import enqueue
from django_resque.management import JobCommand

ATTEMPTS = 5
MAIL_SERVER_DOWN = (ConnectionError, TimeoutError, SMTPConnectError, SMTPServerDisconnected)


class Command(JobCommand):
    help = "Send the mails of the accounts."
    queue = "mail"

    def send_sign_up_email(self, user_id: int, *, attempt: int = 1) -> None:
        """Welcome a new user. While the mail server is down, the command enqueues itself again."""
        # The job brought a number: the user may have been changed, or deleted, since it was enqueued.
        user = User.objects.filter(pk=user_id).first()
        if user is None:
            raise CommandError(f"There is no user {user_id}.")
        try:
            self._welcome(user).send()
        except MAIL_SERVER_DOWN as error:
            if attempt >= ATTEMPTS:
                raise CommandError(f"The mail server was down {attempt} times: {error}") from error
            enqueue("email_sender", "send_sign_up_email", user_id, attempt=attempt + 1)
            self.stdout.write(f"The mail server is down ({error}); enqueued again")
        else:
            self.stdout.write(f"Mail sent to {user.email}")

    def _welcome(self, user: User) -> EmailMultiAlternatives:
        context = {"user": user}
        message = EmailMultiAlternatives(
            subject="Welcome to the testproject",
            body=render_to_string("accounts/sign_up_email.txt", context),
            to=[user.email],
        )
        message.attach_alternative(render_to_string("accounts/sign_up_email.html", context), "text/html")
        return message
