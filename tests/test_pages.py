"""What the pages tell people to type works word for word, and prints what is shown there."""

import asyncio
from pathlib import Path

from cortez.core.db.engine import Database
from cortez.core.security.passwords import Passwords
from cortez.demo.load import load
from cortez.settings import Settings
from pages import PAGES, blocks, plain, printed
from running import SECRET
from serving import serving

WORKING = 3  # students with sessions: as many as the demo course needs to be whole


async def test_the_pages_print_what_they_show(database: Database, settings: Settings, tmp_path: Path) -> None:
    await database.engine.dispose()  # other tests have altered tables under the plans of its connections
    await load(database, Passwords(settings), lambda done, total: None, WORKING)
    url = settings.url.render_as_string(hide_password=False)
    pages = [page for page in PAGES if blocks(page)] if database.is_sqlite else PAGES[:1]  # a reader's is SQLite
    with serving(tmp_path, {"DATABASE_URL": url, "CORTEZ_SECRET_KEY": SECRET}) as server:
        outputs = [await asyncio.to_thread(printed, page, server.address) for page in pages]
        server.kill()  # nobody is left to take leave of
    differ = []
    for page, found in zip(pages, outputs, strict=True):
        for (commands, shown), output in zip(blocks(page), found, strict=True):
            if plain(output) != plain(shown):
                differ.append(f"{page.name}:\n{commands}prints\n{output}and not\n{shown}")
    assert not differ, "\n".join([*differ, (tmp_path / "server.log").read_text("utf-8")])
