from django_resque.management import JobCommand
from services.client import tell
from shop.models import Order


class Command(JobCommand):
    help = "Tell the ERP what happened in the shop."
    queue = "default"

    # Run twice, either does its work once: the number that the ERP gave is kept with the order, and should the process
    # end between the two, the ERP recognises the key of the second call.

    def book_invoice(self, order_id: int) -> None:
        """Have the invoice of an order written."""
        order = Order.objects.get(pk=order_id)
        if not order.invoice_number:
            answer = tell(
                "/invoices",
                key=f"order-{order.pk}",
                data={"customer": order.customer.get_username(), "total": str(order.total())},
            )
            order.invoice_number = answer["number"]
            order.save(update_fields=["invoice_number"])
        self.stdout.write(f"Invoice {order.invoice_number}")

    def book_stock_movement(self, order_id: int) -> None:
        """Book what an order took from the stock."""
        order = Order.objects.get(pk=order_id)
        if not order.stock_movement_number:
            lines = order.lines.select_related("product").order_by("pk")
            answer = tell(
                "/stock-movements",
                key=f"order-{order.pk}",
                data={"products": {line.product.slug: -line.quantity for line in lines}},
            )
            order.stock_movement_number = answer["number"]
            order.save(update_fields=["stock_movement_number"])
        self.stdout.write(f"Stock movement {order.stock_movement_number}")
