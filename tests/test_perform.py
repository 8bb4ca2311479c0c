"""The alarm that ends a command, at every moment that it may ring; and signals put back in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from django_resque.errors import JobTimeout
from django_resque.perform import Alarm, Surroundings


@pytest.fixture(autouse=True)
def _the_timer_of_pytest() -> Iterator[None]:
    """pytest-timeout may use the same timer."""
    timer = signal.getitimer(signal.ITIMER_REAL)
    yield
    signal.setitimer(signal.ITIMER_REAL, *timer)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def is_silent() -> bool:
    return signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_alarm_ends_a_call_that_takes_too_long():
    alarm = Alarm(0.05)
    with pytest.raises(JobTimeout, match="timeout of 0.05 s"):
        alarm.watch(lambda: time.sleep(30))
    assert alarm.rang
    assert is_silent()


def test_an_alarm_does_not_ring_for_a_call_that_is_done_in_time():
    alarm = Alarm(30)
    alarm.watch(lambda: None)
    assert not alarm.rang
    assert is_silent()


def test_what_a_call_raises_is_raised():
    alarm = Alarm(30)
    with pytest.raises(SystemExit):
        alarm.watch(lambda: exec("raise SystemExit(3)"))
    assert not alarm.rang
    assert is_silent()


def test_an_alarm_rings_in_the_call_or_not_at_all():
    before = signal.getsignal(signal.SIGALRM)
    late = 0
    for step in range(400):
        alarm = Alarm(0.001)
        try:
            alarm.watch(lambda step=step: spin(0.0009 + step * 5e-7))
        except JobTimeout:
            late += 1
            assert alarm.rang
        else:
            assert not alarm.rang
        assert is_silent()
        assert signal.getsignal(signal.SIGALRM) is before
        spin(0.0002)
    assert late


def test_the_longest_timeout_can_be_set():
    Alarm(1e300).watch(lambda: None)


def test_a_signal_that_was_blocked_until_the_end_does_not_end_the_process():
    surroundings = Surroundings()
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.raise_signal(signal.SIGUSR2)  # to this thread; others may have been left by other tests
    assert signal.SIGUSR2 in signal.sigpending()
    surroundings.restore_signals()
    assert not signal.sigpending()
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
