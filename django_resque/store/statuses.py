"""What became of single jobs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from ..errors import StoreUnavailable
from ..status import Status
from .keys import Keys
from .reading import reading

WAITED = 30
"""Seconds that workers tell of the end of jobs after somebody has begun, or gone on, to wait for one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a job when it was looked up, whichever program has written it.

    Times are unix times, ``duration`` is in seconds; None, 0 or an empty text where nothing is known. ``begun`` and
    ``worker`` are of the last attempt, which was number ``attempt``. ``outcome`` says how a job ended that was never
    performed: ``expired`` or ``cancelled``. ``progress`` is how much is done, of how much, and a message. ``due`` is
    when a scheduled job will wait in its queue. ``result`` is what the job returned, None also where that is not kept.
    """

    id: str
    status: Status
    updated: float | None = None
    enqueued_at: float | None = None
    begun: float | None = None
    finished: float | None = None
    duration: float | None = None
    attempt: int = 0
    worker: str = ""
    outcome: str = ""
    progress: tuple[float, float | None, str] | None = None
    due: float | None = None
    result: Any = None
    command: str = ""
    queue: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status in (Status.COMPLETE, Status.FAILED)

    @classmethod
    def from_json(cls, raw: bytes, job_id: str = "") -> Self:
        """Read a status; UNKNOWN when it is none. ``job_id`` is for those that do not say whose they are."""
        try:
            read = json.loads(raw)
        except (ValueError, RecursionError):
            read = None
        found: Mapping[str, Any] = read if isinstance(read, dict) else {}
        status = _status(found.get("status"))
        begun, duration, updated = (_number(found.get(name)) for name in ("begun", "duration", "updated"))
        finished = None
        if status in (Status.COMPLETE, Status.FAILED):
            finished = updated if begun is None or duration is None else begun + duration
        return cls(
            id=job_id or _text(found.get("id")),
            status=status,
            updated=updated,
            enqueued_at=_number(found.get("started")),
            begun=begun,
            finished=finished,
            duration=duration,
            attempt=int(_number(found.get("attempt")) or 0),
            worker=_text(found.get("worker")),
            outcome=_text(found.get("outcome")),
            progress=_progress(found.get("progress")),
            due=_number(found.get("due")),
            result=found.get("result"),
            command=_text(found.get("class")),
            queue=_text(found.get("queue")),
        )


class Statuses:
    """Reading the statuses of jobs, and waiting for their ends.

    A job is named by its `Job.status_id`, which is its id but for jobs that a php-resque has given a prefix.
    """

    def __init__(self, client: Redis, keys: Keys, pool: ConnectionPool) -> None:
        self._client = client
        self._keys = keys
        self._pool = pool

    def seen(self, status_id: str) -> Seen | None:
        """What is known of one job; None when nothing is."""
        return self.seen_many([status_id])[0]

    @reading()
    def seen_many(self, status_ids: Sequence[str]) -> list[Seen | None]:
        """The same of several, in one round trip."""
        if not status_ids:
            return []
        found = cast("list[bytes | None]", self._client.mget([self._keys.status(each) for each in status_ids]))
        return [
            None if raw is None else Seen.from_json(raw, status_id)
            for status_id, raw in zip(status_ids, found, strict=True)
        ]

    @reading()
    def output(self, status_id: str) -> bytes:
        """The last 64 KB that a job has written, empty when nothing is (any longer) known of it."""
        return cast("bytes | None", self._client.get(self._keys.output(status_id))) or b""

    def ending(self, status_id: str) -> Ending:
        """A connection on which to wait for the end of a job, not connected yet."""
        return Ending(self._client, self._keys, self._pool, status_id)


class Ending:
    """Waiting for the end of one job. After any failure the next call connects anew."""

    def __init__(self, client: Redis, keys: Keys, pool: ConnectionPool, status_id: str) -> None:
        self._client = client
        self._keys = keys
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._status_id = status_id
        self._subscribed = False

    def look(self) -> Seen | None:
        """What is known of the job now. From here on `wait` hears of its end, for `WAITED` seconds at least. Raises a
        `StoreError`."""
        self._subscribe()
        with reading():
            pipeline: Any = self._client.pipeline(transaction=False)
            pipeline.set(self._keys.waited, 1, ex=WAITED)
            pipeline.get(self._keys.status(self._status_id))
            _set, raw = pipeline.execute()
        return None if raw is None else Seen.from_json(raw, self._status_id)

    def wait(self, seconds: float) -> bool:
        """Whether the end was told within ``seconds``. False, and at once, when the connection is lost."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._connection.can_read(timeout=left) and self._is_the_end(self._connection.read_response()):
                    return True
            except (RedisError, OSError):
                self.close()
                return False
            except BaseException:
                self.close()
                raise
        return False

    def _subscribe(self) -> None:
        if self._subscribed:
            return
        try:
            self._connection.connect()
            self._connection.send_command("SUBSCRIBE", self._keys.ended(self._status_id))
            self._connection.read_response()
        except (RedisError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=False) from error
        self._subscribed = True

    @staticmethod
    def _is_the_end(message: Any) -> bool:
        return isinstance(message, list) and message[0] == b"message"

    def close(self) -> None:
        """Close the connection."""
        self._subscribed = False
        self._connection.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _status(value: object) -> Status:
    try:
        return Status(int(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else Status.UNKNOWN
    except ValueError:
        return Status.UNKNOWN


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15 or math.isnan(value):
        return None
    return value


def _text(value: object) -> str:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else ""


def _progress(value: object) -> tuple[float, float | None, str] | None:
    match value:
        case [done, total, message] if _number(done) is not None:
            return cast("float", done), _number(total), _text(message)
    return None
