"""What may stand in a queue: payloads of every shape, and what they become when something is wrong with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from random import Random

from hypothesis import strategies as st

from .wire.recordings import recordings

SHAPES = [
    f'{{"class":"{command}","args":{args}}}'.encode()
    for command, args in [
        ("echo", '["a","b"]'),
        ("echo", '[["a","b"]]'),
        ("echo", '[["a",{"x":1}]]'),
        ("echo", '["a",{"x":1}]'),
        ("echo", '[{"k":1}]'),
        ("echo", "[null]"),
        ("echo", "[]"),
        ("echo", "[[]]"),
        ("echo", "[{}]"),
        ("echo", "null"),
        ("echo", '{"0":"a","1":"b","s_time":1795183458,"id":"x"}'),
        ("ordinary", '[["a",{"level":2}]]'),
        ("mailing", '[["send_sign_up_email",42,{"template":"fancy"}]]'),
        ("mailing", '[["remind",1,2]]'),
    ]
]
"""Each shape of ``args`` that some program of the family writes."""
WHOLE = (
    b'{"class":"echo","args":[["\xc3\xa9",{"x":1.50}]],"id":"8d1f0c5e","queue_time":1763644905.25,"prefix":"pre",'
    b'"timeout":30,"on_crash":"fail","other":{"deep":[[],{}]}}'
)
PIECES = [
    *(b'{ } [ ] , : " \\ \\u \\ud800 \\udfff null true NaN Infinity -1e999 -0 1e5 0 9007199254740993'.split()),
    *(b'"class" "args" "id" "queue_time" "prefix" "echo" "flush" "0" "s_time" "timeout" "_resque"'.split()),
    *(b'"":"" {"a":1,"a":2} [[[[[[[[ ]]]]]]]]'.split()),
    *[b"\x00", b"\n", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f", b"\xef\xbb\xbf", b"9" * 5000, b"[" * 3000, b"0," * 11_000],
]
"""Bytes that somebody trips over."""


def _texts(value: str | list[str | list[str]] | dict[str, str]) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return [item if isinstance(item, str) else item[0] for item in value]


RECORDED = sorted(
    {
        text.encode()
        for recording in recordings()
        for about in recording.keys.values()
        for text in _texts(about["value"])
    }
)
"""Everything that stands in the recordings: payloads, failure records, current jobs, times, names."""


def mutated(random: Random, count: int) -> Iterator[bytes]:
    """``count`` elements that were payloads before something happened to them, the same for the same ``random``."""
    for _ in range(count):
        raw = bytearray(random.choice([*SHAPES, WHOLE, WHOLE]))
        for _ in range(random.choice([0, 1, 1, 1, 2, 5])):
            at = random.randrange(len(raw) + 1)
            match random.randrange(6):
                case 0:
                    del raw[at : at + random.choice([1, 1, 5, 1000])]
                case 1:
                    raw[at:at] = random.choice(PIECES)
                case 2:
                    raw[at : at + 1] = random.choice(PIECES)
                case 3:
                    raw[at:at] = random.randbytes(random.choice([1, 3, 200]))
                case 4:
                    raw[at:at] = raw[: random.randrange(len(raw) + 1)]
                case 5:
                    raw[at : at + 1] = bytes([random.randrange(256)])
        yield bytes(raw)


# -- strategies --------------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters())
"""Texts, halves of surrogate pairs in them too."""
_KEYS = [
    "class",
    "args",
    "id",
    "queue_time",
    "prefix",
    "timeout",
    "on_crash",
    "queue",
    "0",
    "1",
    "s_time",
    "x",
    "level",
]
_NAMES = [*_KEYS, *("failed_at", "payload", "exception", "error", "backtrace", "worker", "output", "run_at")]
_SCALARS = ["null", "true", "NaN", "-Infinity", "1e999", "-0", "0.1e-400", "9007199254740993", "12345.50", "9" * 5000]
_SCALARS += [
    '"echo"',
    '"ordinary"',
    '"mailing"',
    '"remind"',
    '"flush"',
    '"fail"',
    '"\\ud800"',
    '"\\u0000"',
    '"\n"',
    '""',
]


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members) + "}"


_JSON = st.recursive(
    st.sampled_from(_SCALARS) | st.integers().map(str) | ANY_TEXT.map(json.dumps),
    lambda below: (
        st.lists(below, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(st.sampled_from(_NAMES) | ANY_TEXT, below), max_size=4).map(_object)
        | st.tuples(below, st.integers(1, 60)).map(lambda deep: "[" * deep[1] + deep[0] + "]" * deep[1])
    ),
    max_leaves=10,
)
"""Texts that look like JSON: what JSON does not have is among their values, and the same key may stand there twice."""
_OBJECTS = st.lists(st.tuples(st.sampled_from(_NAMES), _JSON), max_size=8).map(_object)
_COMMANDS = st.sampled_from(["echo", "ordinary", "mailing"]).map(json.dumps)
_JOBS = st.tuples(_COMMANDS, st.sampled_from(_KEYS), _JSON, _JSON).map(
    lambda parts: f'{{"class":{parts[0]},"args":{parts[2]},"{parts[1]}":{parts[3]}}}'
)

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["--level", "-h", "--", "--settings=x", "2", "a" * 200]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), below, max_size=2),
    max_leaves=4,
)
_OPTIONS = st.dictionaries(
    st.sampled_from(["template", "dry_run", "subject", "level", "interactive", "settings", "verbosity", "stdout"]),
    _VALUES,
)
_CALLS = st.tuples(
    st.sampled_from(["remind", "send_sign_up_email", "_all"]) | _VALUES, st.lists(_VALUES), _OPTIONS
).map(lambda call: json.dumps({"class": "mailing", "args": [[call[0], *call[1], call[2]]]}).encode())
"""Jobs that are none but for their arguments."""

PAYLOADS: st.SearchStrategy[bytes] = (
    st.binary()
    | _CALLS
    | (_JSON | _OBJECTS | _JOBS).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.integers(0, 2**32).map(lambda seed: next(mutated(Random(seed), 1)))
)
"""Anything that may be found in a queue, or anywhere else."""


def original(payload: bytes) -> bytes:
    """The element that a failure record's ``payload`` was made of."""
    found = json.loads(payload)
    return base64.b64decode(found["base64"]) if found.keys() == {"class", "args", "base64"} else payload
