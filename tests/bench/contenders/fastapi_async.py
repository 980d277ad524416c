"""FastAPI with SQLAlchemy's asyncio on asyncpg and pydantic, as their documentation shows it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.contenders.orm import OPEN, ApiKey, LearningSession, Trace, address
from bench.contenders.shapes import Listing, TraceIn, TraceOut

engine = create_async_engine(address("asyncpg"))
make_session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with make_session() as session:
        yield session


Db = Annotated[AsyncSession, Depends(get_session)]


class SignedIn:
    """A dependency: the key in the header has this right."""

    def __init__(self, right: str) -> None:
        self.right = right

    async def __call__(self, db: Db, authorization: Annotated[str, Header()] = "") -> None:
        key = await db.scalar(select(ApiKey).where(*ApiKey.presented(authorization)))
        if key is None or self.right not in key.scopes:
            raise HTTPException(401)


@app.get("/api/v1/sessions/{session_id}/traces", dependencies=[Depends(SignedIn("read"))], response_model=Listing)
async def list_traces(session_id: UUID, db: Db, limit: int = 50) -> Any:
    if await db.get(LearningSession, session_id) is None:
        raise HTTPException(404)
    mine = select(Trace).where(Trace.session_id == session_id)
    return {"items": (await db.scalars(mine.order_by(Trace.created_at, Trace.id).limit(limit))).all()}


@app.post(
    "/api/v1/sessions/{session_id}/traces",
    dependencies=[Depends(SignedIn("traces"))],
    response_model=TraceOut,
    status_code=201,
)
async def create_trace(session_id: UUID, data: TraceIn, db: Db) -> Any:
    session = await db.get(LearningSession, session_id, with_for_update={"key_share": True})
    if session is None or session.status not in OPEN:
        raise HTTPException(404)
    copied = {"session_id": session.id, "student_id": session.student_id, "activity_id": session.activity_id}
    trace = Trace(**data.columns(), **copied)
    db.add(trace)
    await db.commit()
    return trace
