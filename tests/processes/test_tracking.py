"""What whoever enqueued a job sees of it while real workers perform it."""

from __future__ import annotations

from django_resque import Job, enqueue
from django_resque.status import Status

from ..workers import told, within


def test_the_end_of_a_job_is_waited_for_and_what_became_of_it_told(worker, facts):
    worker("-q", "default")
    job = enqueue("act", "wait", "a")
    assert isinstance(job, Job)
    told(facts, "a:started")
    facts.rpush("a:go", "")
    assert job.wait(30) is Status.COMPLETE
    assert (job.attempts, job.outcome) == (1, "")
    assert job.begun is not None
    assert job.finished is not None
    assert job.duration is not None
    assert "~" in job.worker
    found = Job.get(job.id)
    assert found is not None
    assert (found.command, found.queue, found.status) == ("act", "default", Status.COMPLETE)


def test_the_end_of_a_job_is_told_at_once(worker, facts):
    worker("-q", "default")
    assert enqueue("act", "tell", "up").wait(30) is Status.COMPLETE
    for _ in range(5):
        job = enqueue("act", "refuse", "no")
        with within(0.2):
            assert job.wait(30) is Status.FAILED


def test_what_a_job_writes_can_be_read_after_its_end(worker):
    worker("-q", "default")
    job = enqueue("act", "murmur", "said so")
    job.wait(30)
    assert job.output == "said so\n"
