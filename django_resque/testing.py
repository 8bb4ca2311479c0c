"""For the tests of projects that enqueue.

Under Django's test runner and under pytest-django nothing is pushed and no Redis is needed: ``outbox`` holds the jobs
that the present test has enqueued, as ``django.core.mail.outbox`` holds its mails. It is emptied before each test.

    from django_resque.testing import outbox

    def test_signing_up_sends_a_mail(self):
        self.client.post("/sign-up/", {...})
        (job,) = outbox
        self.assertEqual(job.command, "send_welcome")

The transactions that a ``TestCase`` (or pytest-django's ``db``) keeps open around the test never commit, so they are
not waited for. A job enqueued inside an atomic block of the tested code is in the outbox at once, and out again when
that block is rolled back. In a ``TransactionTestCase`` (``transactional_db``) jobs arrive with the commit.

With ``RESQUE["TESTING"] = "real"`` jobs are pushed, by the rules of a running site: at once, or when the tested code's
transaction has been committed. Inside a ``TestCase`` it never is; ``captureOnCommitCallbacks(execute=True)`` stands in
for the commit there.
"""

from .store.outbox import outbox

__all__ = ["outbox"]
