"""What only the tests with processes need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_resque.store import store


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()
