"""Jobs and their failures: what was tried, what came of it, and why something, or some of it, is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from retrieval.catalog.tables import failures, jobs
from retrieval.errors import RetrievalError


class UnknownJobError(RetrievalError):
    """A job id that was never given out."""


@dataclass(frozen=True)
class Failure:
    """The newest failure of one file: the stage it failed in and why."""

    uri: str
    stage: str
    reason: str
    failed_at: datetime


@dataclass(frozen=True)
class Job:
    """One run over a source; `counts` by outcome."""

    id: int
    kind: str
    state: str
    source: str
    counts: Mapping[str, int]
    started_at: datetime
    finished_at: datetime | None


class Ledger:
    """Reads and writes of jobs and failures, over one SQLAlchemy engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start_job(self, kind: str, source: str) -> int:
        """Open a job and return its id. One of the same kind and source that never ended was killed: it is closed."""
        with self.engine.begin() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.kind == kind, jobs.c.source == source, jobs.c.state == "running")
                .values(state="interrupted", finished_at=func.now())
            )
            statement = insert(jobs).values(kind=kind, source=source, state="running").returning(jobs.c.id)
            return int(connection.execute(statement).scalar_one())

    def finish_job(self, job_id: int, state: str, counts: Mapping[str, int]) -> None:
        """Close a job as ``done``, ``interrupted`` or ``failed``."""
        with self.engine.begin() as connection:
            connection.execute(
                update(jobs).where(jobs.c.id == job_id).values(state=state, counts=dict(counts), finished_at=func.now())
            )

    def job(self, job_id: int) -> Job:
        """One job.

        Raises
        ------
        UnknownJobError
            If there is no job with this id.
        """
        with self.engine.connect() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise UnknownJobError(f"no job {job_id}")
        return Job(row.id, row.kind, row.state, row.source, row.counts, row.started_at, row.finished_at)

    def sources(self, kind: str) -> list[str]:
        """What the jobs of a kind were over, each once."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(jobs.c.source).where(jobs.c.kind == kind).distinct()).scalars())

    def record_failure(self, uri: str, *, stage: str, reason: str, job_id: int | None) -> None:
        """Note why a file, or what a stage makes of it, is missing; a later one takes its place."""
        values = {"stage": stage, "reason": _storable(reason), "failed_at": func.now(), "job_id": job_id}
        with self.engine.begin() as connection:
            of_file = update(failures).where(failures.c.uri == _storable(uri))
            if connection.execute(of_file.values(**values)).rowcount == 0:
                new = insert(failures).values(uri=_storable(uri), **values)
                connection.execute(new.on_conflict_do_nothing())

    def clear_failure(self, uri: str) -> None:
        """Forget a file's failure, once it went well."""
        with self.engine.begin() as connection:
            connection.execute(delete(failures).where(failures.c.uri == _storable(uri)))

    def failures(self, *, job_id: int | None = None) -> list[Failure]:
        """The newest failure of every file that has one, newest first; only those of `job_id` when given."""
        statement = select(failures.c.uri, failures.c.stage, failures.c.reason, failures.c.failed_at)
        if job_id is not None:
            statement = statement.where(failures.c.job_id == job_id)
        with self.engine.connect() as connection:
            rows = connection.execute(statement.order_by(failures.c.failed_at.desc(), failures.c.uri))
            return [Failure(*row) for row in rows]


def _storable(text: str) -> str:
    """What PostgreSQL's text can hold of it: no NUL, and no half of a pair."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
