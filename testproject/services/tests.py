from __future__ import annotations

import mailbox
import tempfile
from email.message import EmailMessage
from pathlib import Path

from django.test import SimpleTestCase, override_settings

from .client import ServiceUnavailable, ask, tell
from .mailbox import count_mails, received_mails
from .testing import ServicesMixin, closed_port


class ServicesTests(ServicesMixin):
    def test_what_is_told_twice_under_one_key_is_done_once(self) -> None:
        first = tell("/invoices", key="order-1", data={"total": "10.00"})
        again = tell("/invoices", key="order-1", data={"total": "10.00"})
        other = tell("/invoices", key="order-2", data={"total": "10.00"})

        self.assertEqual(first["number"], again["number"])
        self.assertEqual((first["new"], again["new"]), (True, False))
        self.assertNotEqual(first["number"], other["number"])
        self.assertEqual((ask("/facts")["invoices"], ask("/facts")["erp_calls"]), (2, 3))

    def test_a_place_is_the_nearest_city(self) -> None:
        self.assertEqual(ask("/place", latitude=52.4, longitude=13.1)["place"], "Berlin")

    def test_nonsense_is_refused(self) -> None:
        for path, query in (("/place", {"latitude": "north"}), ("/nowhere", {})):
            with self.subTest(path), self.assertRaisesMessage(ServiceUnavailable, "refused the request: 40"):
                ask(path, **query)
        with self.assertRaisesMessage(ServiceUnavailable, "refused the request: 400"):
            tell("/invoices", key="", data={})

    def test_a_service_that_is_down_is_an_error_with_its_address(self) -> None:
        url = f"http://127.0.0.1:{closed_port()}"
        with (
            override_settings(SERVICES_URL=url),
            self.assertRaisesMessage(ServiceUnavailable, f"{url}/facts cannot"),
        ):
            ask("/facts")


class MailboxTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "mails"
        self.enterContext(override_settings(MAILBOX=folder))
        self.folder = folder

    def test_there_are_no_mails_before_the_mail_server_has_run(self) -> None:
        self.assertEqual((count_mails(), received_mails()), (0, []))

    def test_a_mail_is_read_back(self) -> None:
        message = EmailMessage()
        message["To"], message["Subject"] = "grace@example.com", "Wëlcome"
        message.set_content("Hello")
        message.add_alternative("<p>Hello</p>", subtype="html")
        mailbox.Maildir(self.folder, create=True).add(message)

        (mail,) = received_mails()
        self.assertEqual((mail.to, mail.subject, mail.kind), ("grace@example.com", "Wëlcome", "HTML and text"))
        self.assertEqual(count_mails(), 1)
