from __future__ import annotations

from django import forms
from django.utils.datastructures import MultiValueDict

from .models import Product

MOST = 100


class CheckoutForm(forms.Form):
    """A quantity for each product: ``product-3=2``."""

    def __init__(self, data: MultiValueDict[str, str] | None = None) -> None:
        super().__init__(data)
        self.products = list(Product.objects.all())
        for product in self.products:
            self.fields[f"product-{product.pk}"] = forms.IntegerField(
                label=product.name,
                min_value=0,
                max_value=MOST,
                required=False,
                widget=forms.NumberInput(attrs={"class": "quantity", "aria-label": f"Quantity of {product.name}"}),
            )

    def rows(self) -> list[tuple[Product, forms.BoundField]]:
        return [(product, self[f"product-{product.pk}"]) for product in self.products]

    def clean(self) -> dict[str, int]:
        """At least one of something."""
        data: dict[str, int] = super().clean() or self.cleaned_data
        if not self.errors and not any(data.values()):
            raise forms.ValidationError("Choose at least one product.")
        return data

    def quantities(self) -> dict[int, int]:
        """Product → quantity."""
        chosen = {product.pk: self.cleaned_data[f"product-{product.pk}"] for product in self.products}
        return {product_id: quantity for product_id, quantity in chosen.items() if quantity}
