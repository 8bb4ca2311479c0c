from __future__ import annotations

from decimal import Decimal
from io import StringIO

from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import TestCase, override_settings

from django_resque.testing import outbox
from services.client import ServiceUnavailable
from services.testing import ServicesMixin, closed_port

from .checkout import OutOfStock, place_order
from .models import Order, Product


class ShopTestCase(ServicesMixin, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = User.objects.create_user("ada", "ada@example.com")
        self.lamp = Product.objects.create(name="Desk lamp", slug="desk-lamp", price="39.90", stock=5)
        self.teapot = Product.objects.create(name="Teapot", slug="teapot", price="32.00", stock=1)
        self.before = len(outbox)

    def stock(self) -> tuple[int, ...]:
        return tuple(Product.objects.order_by("slug").values_list("stock", flat=True))


class CheckingOut(ShopTestCase):
    def buy(self, lamps: object = "", teapots: object = "", **fields: str) -> HttpResponse:
        self.client.force_login(self.user)
        return self.client.post(
            "/shop/", {f"product-{self.lamp.pk}": lamps, f"product-{self.teapot.pk}": teapots, **fields}
        )

    def test_the_order_takes_its_stock_and_the_rest_are_jobs(self) -> None:
        self.assertRedirects(self.buy(lamps=2, teapots=1), "/shop/")

        order = Order.objects.get()
        self.assertEqual(self.stock(), (3, 0))
        self.assertEqual(order.total(), Decimal("111.80"))
        self.assertEqual(
            [(job.command, job.queue, list(job.args)) for job in outbox[self.before :]],
            [
                ("send_receipt", "mail", [order.pk]),
                ("erp", "default", ["book_invoice", order.pk]),
                ("erp", "default", ["book_stock_movement", order.pk]),
            ],
        )
        self.assertEqual((mail.outbox, self.services.facts()["erp_calls"]), ([], 0))

    def test_what_is_not_there_cannot_be_bought_and_the_whole_order_is_refused(self) -> None:
        self.assertContains(self.buy(lamps=2, teapots=2), "There is not enough Teapot left.")
        self.assertFalse(Order.objects.exists())
        self.assertEqual(self.stock(), (5, 1))
        self.assertEqual(len(outbox), self.before)

    def test_a_form_that_makes_no_sense_is_refused(self) -> None:
        for lamps in ("", "0", "-1", "many", "101"):
            with self.subTest(lamps=lamps):
                self.assertContains(self.buy(lamps=lamps), "errorlist")
        self.assertFalse(Order.objects.exists())

    def test_an_order_that_is_rolled_back_enqueues_nothing(self) -> None:
        with self.assertRaisesMessage(RuntimeError, "the payment"), transaction.atomic():
            place_order(self.user, {self.lamp.pk: 1})
            raise RuntimeError("the payment was refused")
        self.assertEqual(self.stock(), (5, 1))
        self.assertEqual(len(outbox), self.before)

    def test_an_order_decides_by_the_stock_in_the_database(self) -> None:
        place_order(self.user, {self.teapot.pk: 1})
        self.assertEqual(self.teapot.stock, 1)  # what this customer still has on the screen
        with self.assertRaisesMessage(OutOfStock, "not enough Teapot"):
            place_order(self.user, {self.teapot.pk: 1})
        self.assertEqual(self.stock(), (5, 0))

    def test_without_django_resque_the_request_does_everything(self) -> None:
        with override_settings(DEBUG=True), self.captureOnCommitCallbacks(execute=True):
            self.buy(lamps=1, without_resque="1")
        order = Order.objects.get()
        self.assertTrue(order.receipt_sent_at and order.invoice_number and order.stock_movement_number)
        self.assertEqual(len(mail.outbox), 1)
        self.assertEqual(len(outbox), self.before)


class FollowingUp(ShopTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.order = place_order(self.user, {self.lamp.pk: 2, self.teapot.pk: 1})
        mail.outbox.clear()

    def run_command(self, *command_line: str) -> str:
        output = StringIO()
        call_command(*command_line, self.order.pk, stdout=output)
        self.order.refresh_from_db()
        return output.getvalue()

    def test_the_receipt_is_sent_once(self) -> None:
        self.run_command("send_receipt")
        self.assertIn("sent before", self.run_command("send_receipt"))
        (message,) = mail.outbox
        self.assertEqual(message.to, ["ada@example.com"])
        self.assertIn("2 x Desk lamp, 39.90 EUR each", message.body)
        self.assertIn("Total: 111.80 EUR", message.body)

    def test_a_receipt_that_went_out_twice_has_the_same_message_id(self) -> None:
        self.run_command("send_receipt")
        Order.objects.update(receipt_sent_at=None)  # as if the process had died in between
        self.run_command("send_receipt")
        first, again = mail.outbox
        self.assertEqual(first.message()["Message-ID"], again.message()["Message-ID"])

    def test_the_erp_books_what_was_ordered(self) -> None:
        self.run_command("erp", "book_invoice")
        self.run_command("erp", "book_stock_movement")
        self.assertEqual(
            self.services.bookings,
            {
                ("/invoices", f"order-{self.order.pk}"): {"customer": "ada", "total": "111.80"},
                ("/stock-movements", f"order-{self.order.pk}"): {"products": {"desk-lamp": -2, "teapot": -1}},
            },
        )

    def test_booked_twice_is_booked_once(self) -> None:
        for subcommand, field in (("book_invoice", "invoice_number"), ("book_stock_movement", "stock_movement_number")):
            with self.subTest(subcommand):
                self.run_command("erp", subcommand)
                number = getattr(self.order, field)
                self.run_command("erp", subcommand)
                Order.objects.update(**{field: ""})  # as if the process had died after the call
                self.run_command("erp", subcommand)
                self.assertEqual(getattr(self.order, field), number)
        self.assertEqual(len(self.services.bookings), 2)
        self.assertEqual(self.services.facts()["erp_calls"], 4)

    def test_while_the_erp_is_down_the_job_fails_and_can_be_tried_again(self) -> None:
        with (
            override_settings(SERVICES_URL=f"http://127.0.0.1:{closed_port()}"),
            self.assertRaisesMessage(ServiceUnavailable, "/invoices cannot be reached"),
        ):
            self.run_command("erp", "book_invoice")
        self.run_command("erp", "book_invoice")
        self.assertTrue(self.order.invoice_number)
