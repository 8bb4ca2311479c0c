from __future__ import annotations

from typing import Any

from django import forms

from .geography import PLACES

CITIES = {place.name: place for place in PLACES}


class PositionForm(forms.Form):
    """Where somebody is: a city, or coordinates."""

    city = forms.ChoiceField(choices=[("", "by coordinates"), *((name, name) for name in CITIES)], required=False)
    latitude = forms.FloatField(min_value=-90, max_value=90, required=False)
    longitude = forms.FloatField(min_value=-180, max_value=180, required=False)

    def clean(self) -> dict[str, Any]:
        """Coordinates in any case."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if city := CITIES.get(data.get("city", "")):
            data["latitude"], data["longitude"] = city.latitude, city.longitude
        elif not self.errors and (data.get("latitude") is None or data.get("longitude") is None):
            raise forms.ValidationError("Choose a city, or give both latitude and longitude.")
        return data
