"""A storm: a real fleet under load, with one fault after another, and a check of everything that is promised.

``python -m tests.storm --help``, or ``make storm``. `fleet` has the worker processes, `weather` the faults, `producer`
the processes that enqueue, `kinds` and the command ``storm_work`` the jobs, `evidence` what is noted down, and
`checker` decides from that alone whether every promise was kept.
"""
