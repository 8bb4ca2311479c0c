from django.dispatch import Signal

order_placed = Signal()
"""An order has been placed. Sent inside its transaction, with ``order``; the sender is the class `Order`."""
