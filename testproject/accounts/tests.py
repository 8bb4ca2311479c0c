from __future__ import annotations

from io import StringIO
from typing import Any

import django
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import TestCase, override_settings

from django_resque.testing import outbox
from services.testing import closed_port

SMTP = "django.core.mail.backends.smtp.EmailBackend"


def mail_server_down() -> Any:
    """Settings with a real mail backend and nobody on its port."""
    port = closed_port()
    if django.VERSION >= (6, 1):
        return override_settings(MAILERS={"default": {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": port}}})
    return override_settings(EMAIL_BACKEND=SMTP, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port)


class SigningUp(TestCase):
    def sign_up(self, **changes: str) -> HttpResponse:
        password = "correct-horse-battery-staple"
        fields = {"username": "grace", "first_name": "Grace", "email": "grace@example.com", **changes}
        return self.client.post("/accounts/sign-up/", {**fields, "password1": password, "password2": password})

    def test_a_new_user_is_logged_in_and_the_mail_is_a_job(self) -> None:
        response = self.sign_up()

        user = User.objects.get()
        self.assertRedirects(response, "/social/")
        self.assertEqual(self.client.session["_auth_user_id"], str(user.pk))
        (job,) = outbox
        self.assertEqual(
            (job.command, job.queue, list(job.args)), ("email_sender", "mail", ["send_sign_up_email", user.pk])
        )
        self.assertEqual(mail.outbox, [])

    def test_a_form_that_is_refused_enqueues_nothing(self) -> None:
        self.assertEqual(self.sign_up(email="nowhere").status_code, 200)
        self.assertFalse(User.objects.exists())
        self.assertEqual(outbox, [])

    def test_changing_a_user_sends_no_second_mail(self) -> None:
        user = User.objects.create_user("grace")
        self.assertEqual(len(outbox), 1)
        user.first_name = "Grace"
        user.save()
        self.assertEqual(len(outbox), 1)

    def test_without_django_resque_the_request_sends_the_mail(self) -> None:
        with override_settings(DEBUG=True), self.captureOnCommitCallbacks(execute=True):
            self.sign_up(without_resque="1")
        self.assertEqual([message.to for message in mail.outbox], [["grace@example.com"]])
        self.assertEqual(outbox, [])

    def test_a_site_in_production_does_not_have_the_switch(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            self.sign_up(without_resque="1")
        self.assertEqual(mail.outbox, [])
        self.assertEqual(len(outbox), 1)


class SignUpMail(TestCase):
    def setUp(self) -> None:
        self.user = User.objects.create_user("grace", "grace@example.com", first_name="Grace")
        mail.outbox.clear()

    def send(self, *args: Any, **options: Any) -> str:
        output = StringIO()
        call_command("email_sender", "send_sign_up_email", *args, stdout=output, **options)
        return output.getvalue()

    def test_the_mail_has_a_text_and_an_html_part_with_the_name_of_now(self) -> None:
        User.objects.update(first_name="Rear <b>Admiral</b> Grace")  # after the job was enqueued

        self.assertEqual(self.send(self.user.pk), "Mail sent to grace@example.com\n")

        (message,) = mail.outbox
        self.assertEqual(message.to, ["grace@example.com"])
        self.assertIn("Hello Rear <b>Admiral</b> Grace,", message.body)
        ((html, kind),) = message.alternatives
        self.assertEqual(kind, "text/html")
        self.assertIn("Hello Rear &lt;b&gt;Admiral&lt;/b&gt; Grace,", html)

    def test_it_can_be_called_by_hand_with_text_as_in_a_shell(self) -> None:
        self.send(str(self.user.pk))
        self.assertEqual(len(mail.outbox), 1)

    def test_while_the_mail_server_is_down_the_command_enqueues_itself_again(self) -> None:
        before = len(outbox)
        with mail_server_down():
            self.assertIn("The mail server is down", self.send(self.user.pk, attempt=2))
        (job,) = outbox[before:]
        self.assertEqual((job.command, list(job.args)), ("email_sender", ["send_sign_up_email", self.user.pk]))
        self.assertEqual(job.options, {"attempt": 3})

    def test_the_last_attempt_fails(self) -> None:
        before = len(outbox)
        with mail_server_down(), self.assertRaisesMessage(CommandError, "The mail server was down 5 times"):
            self.send(self.user.pk, attempt=5)
        self.assertEqual(len(outbox), before)

    def test_a_user_who_is_gone_is_an_error_that_says_so(self) -> None:
        self.user.delete()
        with self.assertRaisesMessage(CommandError, "There is no user"):
            self.send(1_000_000)
