"""Litestar with an asyncio engine of SQLAlchemy and one route: what starting and idling costs without a service."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar, get
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"))
sessions = async_sessionmaker(engine)


@get("/health/ready")
async def ready() -> dict[str, str]:
    async with sessions() as session:
        await session.execute(select(1))
    return {"status": "ok"}


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[None]:
    yield
    await engine.dispose()


app = Litestar([ready], lifespan=[running], openapi_config=None)
