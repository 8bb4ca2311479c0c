"""Reading from Redis with errors that the rest of the package knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from ..errors import StoreError, StoreUnavailable


@contextmanager
def reading() -> Iterator[None]:
    """Raise a `StoreError` where redis-py raises an error of its own. Also a decorator."""
    try:
        yield
    except ResponseError as error:
        raise StoreError(str(error)) from error
    except AuthenticationError as error:
        raise StoreUnavailable(f"Redis refused the credentials: {error}", sent=False) from error
    except (RedisError, OSError) as error:
        raise StoreUnavailable(str(error), sent=False) from error
