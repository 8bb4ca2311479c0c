"""How the site talks to the services."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from django.conf import settings

TIMEOUT = 10


class ServiceUnavailable(Exception):
    """A service could not be reached, or refused the request."""


def ask(path: str, **query: object) -> dict[str, Any]:
    """GET ``path`` from the services."""
    return _send(Request(f"{settings.SERVICES_URL}{path}" + (f"?{urlencode(query)}" if query else "")))


def tell(path: str, key: str, data: dict[str, object]) -> dict[str, Any]:
    """POST ``data`` to the services. What was told under the same ``key`` before is not done again."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    return _send(Request(f"{settings.SERVICES_URL}{path}", data=json.dumps(data).encode(), headers=headers))


def _send(request: Request) -> dict[str, Any]:
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        raise ServiceUnavailable(f"{request.full_url} refused the request: {error.code} {error.reason}") from error
    except (URLError, OSError) as error:
        raise ServiceUnavailable(f"{request.full_url} cannot be reached: {getattr(error, 'reason', error)}") from error
