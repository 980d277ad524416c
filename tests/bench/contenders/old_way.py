"""The old way, the predecessor's shape: FastAPI's thread pool, synchronous SQLAlchemy on psycopg2, pydantic.

Each repository method that changes something commits by itself and reads the row again; the request commits once more
at its end. A session is not locked while a step is added to it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from bench.contenders.orm import OPEN, ApiKey, LearningSession, Trace, address
from bench.contenders.shapes import Listing, TraceIn, TraceOut

engine = create_engine(
    address("psycopg2"),
    pool_size=20,
    max_overflow=40,
    pool_timeout=30,
    pool_recycle=3600,
    pool_pre_ping=True,
    pool_use_lifo=True,
    connect_args={"connect_timeout": 10, "options": "-c statement_timeout=30000"},
)
make_session = sessionmaker(engine, autoflush=False, expire_on_commit=False)


class Repository:
    def __init__(self, db: Session) -> None:
        self.db = db


class ApiKeyRepository(Repository):
    def get_by_header(self, authorization: str) -> ApiKey | None:
        return self.db.scalars(select(ApiKey).where(*ApiKey.presented(authorization))).one_or_none()


class SessionRepository(Repository):
    def get_by_id(self, session_id: UUID) -> LearningSession | None:
        return self.db.scalars(select(LearningSession).where(LearningSession.id == session_id)).one_or_none()


class TraceRepository(Repository):
    def get_by_session(self, session_id: UUID, limit: int) -> Sequence[Trace]:
        mine = select(Trace).where(Trace.session_id == session_id)
        return self.db.scalars(mine.order_by(Trace.created_at, Trace.id).limit(limit)).all()

    def create(self, trace: Trace) -> Trace:
        try:
            self.db.add(trace)
            self.db.commit()
            self.db.refresh(trace)
        except Exception:
            self.db.rollback()
            raise
        return trace


def get_db() -> Iterator[Session]:
    db = make_session()
    try:
        yield db
        db.commit()
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


Db = Annotated[Session, Depends(get_db)]


def signed_in(right: str) -> Callable[..., None]:
    def check(db: Db, authorization: Annotated[str, Header()] = "") -> None:
        key = ApiKeyRepository(db).get_by_header(authorization)
        if key is None or right not in key.scopes:
            raise HTTPException(401)

    return check


def session_of(session_id: UUID, db: Db) -> LearningSession:
    if session := SessionRepository(db).get_by_id(session_id):
        return session
    raise HTTPException(404)


Owner = Annotated[LearningSession, Depends(session_of)]
app = FastAPI()


@app.get("/api/v1/sessions/{session_id}/traces", dependencies=[Depends(signed_in("read"))], response_model=Listing)
def list_traces(session: Owner, db: Db, limit: int = 50) -> Any:
    return {"items": TraceRepository(db).get_by_session(session.id, limit)}


@app.post(
    "/api/v1/sessions/{session_id}/traces",
    dependencies=[Depends(signed_in("traces"))],
    response_model=TraceOut,
    status_code=201,
)
def create_trace(data: TraceIn, session: Owner, db: Db) -> Any:
    if session.status not in OPEN:
        raise HTTPException(404)
    copied = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    return TraceRepository(db).create(Trace(**data.columns(), **copied))
