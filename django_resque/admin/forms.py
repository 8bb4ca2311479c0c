"""Forms of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from .text import line

MOST = 20_000
"""Characters of a field that are looked at."""


class TextForm(forms.Form):
    """A form that shows what was sent in a shape that is fit for a page. What holds control characters or marks that
    turn the direction of writing is refused."""

    def __init__(self, data: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._unfit: set[str] = set()
        super().__init__(None if data is None else self._shown(data), **options)

    def _shown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        shown = {}
        for name in self.base_fields:
            value = str(data.get(name, ""))
            shown[name] = line(value, MOST)
            if shown[name] != value:
                self._unfit.add(name)
        return shown

    def clean(self) -> dict[str, Any] | None:
        for name in self._unfit:
            self.add_error(name, _("This is too long, or holds characters that cannot be shown."))
        return super().clean()
