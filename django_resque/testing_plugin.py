"""The pytest plugin: empties `django_resque.testing.outbox` before each test.

Tests of Django's own classes need it as little as they need pytest-django's autouse fixture for mails; functions do.
"""

import sys

import pytest


@pytest.fixture(autouse=True)
def _django_resque_clears_its_outbox() -> None:
    # pytest loads this plugin in every project of the environment; where nothing has been enqueued there is no module.
    module = sys.modules.get("django_resque.store.outbox")
    if module is not None:
        module.outbox.clear()
