"""Jobs that ended, and those that were killed; one failure a file."""

import pytest
from sqlalchemy import Engine

from retrieval.catalog.ledger import Ledger, UnknownJobError


def test_a_job_that_was_killed_is_closed_by_the_next(engine: Engine) -> None:
    ledger = Ledger(engine)
    killed = ledger.start_job("index", "/music")
    again = ledger.start_job("index", "/music")
    assert ledger.job(killed).state == "interrupted"
    ledger.finish_job(again, "done", {"indexed": 3})
    assert (ledger.job(again).state, ledger.job(again).counts) == ("done", {"indexed": 3})
    with pytest.raises(UnknownJobError):
        ledger.job(again + 1)


def test_a_failure_is_the_newest_of_its_file(engine: Engine) -> None:
    ledger = Ledger(engine)
    job_id = ledger.start_job("index", "/music")
    ledger.record_failure("/a", stage="decode", reason="first", job_id=None)
    ledger.record_failure("/a", stage="decode", reason="second", job_id=job_id)
    assert [failure.reason for failure in ledger.failures()] == ["second"]
    assert len(ledger.failures(job_id=job_id)) == 1
    ledger.clear_failure("/a")
    assert ledger.failures() == []
