"""The worker process: a dispatcher and its performers.

The `Dispatcher` talks to Redis and looks after the performers; it never runs a job's code. A performer is a forked
child that performs one job after another and is replaced often. Between them stand the `Slot`s.
"""

from .dispatcher import Dispatcher
from .options import Options

__all__ = ["Dispatcher", "Options"]
