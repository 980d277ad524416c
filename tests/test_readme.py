"""The README's tour works word for word, and prints what is shown there."""

import asyncio
from pathlib import Path

from cortez.database import Database
from cortez.demo.load import people_and_activities
from cortez.demo.people import PASSWORD
from cortez.security import Passwords
from cortez.settings import Settings
from running import SECRET
from serving import serving
from tour import blocks, plain, printed


async def test_the_tour_prints_what_the_readme_shows(database: Database, settings: Settings, tmp_path: Path) -> None:
    hashed = await Passwords(settings).hash(PASSWORD)
    async with database.unit() as session:
        await people_and_activities(session, hashed, settings)
    url = settings.url.render_as_string(hide_password=False)
    commands, shown = zip(*blocks(), strict=True)
    assert len(commands) == 7
    with serving(tmp_path, {"DATABASE_URL": url, "CORTEZ_SECRET_KEY": SECRET}) as server:
        outputs = await asyncio.to_thread(printed, list(commands), server.address)
    assert [plain(output) for output in outputs] == [plain(output) for output in shown]
