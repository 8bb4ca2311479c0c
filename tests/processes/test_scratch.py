import json, time, ast, threading
from django_resque import enqueue, using, Job, enqueue_in
from django_resque.store import store
from django_resque.status import Status
from tests.workers import told, until

def test_delayed(worker, facts, clean_redis):
    p = worker()
    began=time.time()
    job = enqueue_in(1.2, "act", "tell", "order", "1")
    assert job.status == Status.SCHEDULED
    assert told(facts, "order") == "1"
    took=time.time()-began
    print("TOOK", took)
    assert 1.2 <= took <= 3.4
    assert job.wait(5) == Status.COMPLETE
    print(clean_redis.get(f"resque:job:{job.id}:status"))
    assert p.stop()==0
    print(p.log)

def test_retry(worker, facts, clean_redis):
    p = worker()
    job = using(max_attempts=3, backoff=[0.2,0.3]).enqueue("act","refuse","no")
    assert job.wait(20) == Status.FAILED
    (f,) = store().failures.latest()
    print(f.raw)
    print(clean_redis.get(f"resque:job:{job.id}:status"), clean_redis.lrange("resque:django:recent",0,-1))
    assert p.stop()==0
    print(p.log)

def test_unique_concurrency_expires(worker, facts, clean_redis):
    a = using(unique_for=60).enqueue("act","witness","job")
    b = using(unique_for=60).enqueue("act","witness","job")
    assert a.id == b.id
    e = using(expires=0.001).enqueue("act","tell","x","1")
    c1 = using(concurrency=("k",1)).enqueue("act","witness","c1")
    c2 = using(concurrency=("k",1)).enqueue("act","witness","c2")
    p = worker("-n","3")
    told(facts,"job")
    told(facts,"c1")
    until(lambda: clean_redis.llen("resque:django:parked:k")==1)
    assert e.wait(5)==Status.FAILED and e.outcome=="expired"
    facts.rpush("c1:go","x")
    told(facts,"c2")
    facts.rpush("c2:go","x"); facts.rpush("job:go","x")
    assert c2.wait(10)==Status.COMPLETE
    assert a.wait(10)==Status.COMPLETE
    print(sorted(clean_redis.keys()))
    assert p.stop()==0
    print(p.log)
