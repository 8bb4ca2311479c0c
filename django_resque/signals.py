"""Django signals that django_resque sends.

A receiver of a job's signals runs where the job does: ``before_enqueue`` and ``after_enqueue`` in the process that
enqueues, those around the performance in a performer. ``sender`` is the class `Job`, and None for those of a worker;
``job`` is the job.
What receivers raise is said with each signal; where nothing is said it is logged, and changes nothing.
"""

from typing import Any

from django.dispatch import Signal

enqueue_failed = Signal()
"""A push failed after the commit of the transaction it waited for. Sent with ``job`` (a `Job`) and ``error`` (an
`EnqueueError`); the sender is the class `Job`."""

before_enqueue = Signal()
"""A job is about to be enqueued, delayed or not (``job``). `DontCreate` keeps it from being enqueued, silently; what
else is raised goes to who called `enqueue`."""
after_enqueue = Signal()
"""A job has been pushed (``job``): after the commit, when it waited for one."""
after_schedule = Signal()
"""A delayed job has been pushed (``job``, and ``due``: its unix second, or None when only a delay is known)."""
before_delayed_enqueue = Signal()
"""A delayed job is due and about to go to its queue (``job``). Sent in the worker or scheduler that does it, so that a
receiver has to be quick. `DontCreate` drops the job; what else is raised makes it a failure."""
before_perform = Signal()
"""A job is about to be performed (``job``). `DontPerform` ends it as complete; what else is raised is its failure."""
after_perform = Signal()
"""A job's command has ended without an exception (``job``, ``result``). What is raised is the job's failure."""
on_failure = Signal()
"""A job has become a failure (``job``, ``error``: the exception, one of ours when its process died; ``attempt``). For
a death, in the next performer of that slot; for the death of a whole worker process, in a performer of the one that
found it."""
after_retry = Signal()
"""An attempt failed and the job will be tried again (``job``, ``error``, ``attempt``, ``delay``: seconds). Not sent for
an attempt that had to be killed after its timeout."""

before_first_fork = Signal()
"""A worker process is about to fork its first performer; once (``worker``: the name of the process). What connections
receivers open is closed before each fork."""
before_fork = Signal()
"""A performer is about to be forked (``worker``)."""
after_fork = Signal()
"""A performer has been forked; sent in it, before its first job (``worker``)."""
worker_started = Signal()
"""A worker process has registered (``worker``, ``queues``); again when it had to take another name."""
worker_stopped = Signal()
"""A worker process has ended its work (``worker``)."""


def send_safely(signal: Signal, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
    """As ``signal.send_robust``, and not even a receiver's ``sys.exit()`` comes out; those behind it are not called."""
    try:
        return signal.send_robust(sender, **named)
    except BaseException as error:  # it is not for a receiver to end a worker
        return [("a receiver", error)]
