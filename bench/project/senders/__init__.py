"""How each system enqueues.

``project.senders.<system>.sender(job)`` is the function that its users would call for this job, so that what is timed
is their call and nothing of ours. Only the module of the system that is measured is ever imported.
"""
