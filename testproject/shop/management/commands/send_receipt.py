from typing import Any

from django.core.mail import EmailMessage
from django.core.management.base import CommandParser
from django.template.loader import render_to_string
from django.utils import timezone

from django_resque.management import JobCommand
from shop.models import Order


class Command(JobCommand):
    help = "Send the receipt of an order by mail, once."
    queue = "mail"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("order_id", type=int)

    def handle(self, *args: Any, order_id: int, **options: Any) -> None:
        order = Order.objects.select_related("customer").get(pk=order_id)
        if order.receipt_sent_at:
            self.stdout.write(f"The receipt of order {order.pk} was sent before")
            return
        body = render_to_string("shop/receipt.txt", {"order": order, "lines": order.lines.select_related("product")})
        EmailMessage(
            f"Your order {order.pk}",
            body,
            to=[order.customer.email],
            # Should the process end before the next line, the mail goes out twice, under one id.
            headers={"Message-ID": f"<receipt-{order.pk}-{order.ordered_at:%Y%m%d%H%M%S%f}@example.com>"},
        ).send()
        order.receipt_sent_at = timezone.now()
        order.save(update_fields=["receipt_sent_at"])
        self.stdout.write(f"Receipt sent to {order.customer.email}")
