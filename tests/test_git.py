"""Git histories: what gets in, once, from where; how it grew; and what lay near in time."""

import asyncio
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dulwich.bundle import create_bundle_from_repo, write_bundle
from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.objects import Blob, Commit, Tree
from dulwich.pack import write_pack_objects
from dulwich.repo import Repo
from sqlalchemy import event

from cortez.accounts.models import CourseMember, CourseRole, Role
from cortez.clock import utc_now
from cortez.git.models import GitTrace
from cortez.sessions.models import LearningSession
from factory import Make, Someone

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
END = START + timedelta(hours=2)
ANA = b"Ana <ana@example.edu>"
BUNDLE = {"content-type": "application/x-git-bundle"}
LOG = {"content-type": "text/plain; charset=utf-8"}

FIRST = "def total(items):\n    return sum(items)\n"
SECOND = FIRST + "\n\ndef mean(items):\n    if items:\n        return total(items) / len(items)\n    return 0\n"
THIRD = SECOND.replace("return 0", "return None")


def a_commit(n: int = 1, **values: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "commit_hash": f"{n:040x}",
        "commit_message": f"Step {n}",
        "author_name": "Ana",
        "author_email": "ana@example.edu",
        "timestamp": (START + timedelta(minutes=n)).isoformat(),
    }
    return defaults | values


def file(path: str, added: int, deleted: int = 0, **values: Any) -> dict[str, Any]:
    return {"file_path": path, "lines_added": added, "lines_deleted": deleted} | values


class Work:
    """A student's session of two hours that is long over, the agent that delivers late, and who else is about."""

    def __init__(self, make: Make, people: tuple[Someone, Someone], session: LearningSession, course: str) -> None:
        self.make, self.session, self.course = make, session, course
        self.ana, self.agent = people
        self.path = f"/sessions/{session.id}/git-traces"


@pytest.fixture
async def work(make: Make) -> Work:
    course = await make.course()
    activity = await make.activity(course_id=course)
    ana = await make.student(course=course)
    values = {"activity_id": activity.activity_id, "course_id": course, "status": "completed"}
    session = await make.session(ana, start_time=START, end_time=END, **values)
    return Work(make, (ana, await make.key("git")), session, course)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repo]:
    """Three commits during the session and one before it."""
    with Repo.init(str(tmp_path)) as repo:
        commit(repo, START - timedelta(days=1), b"Before", {"README.md": "# Stats\n"})
        commit(repo, START + timedelta(minutes=5), b"Total", {"stats.py": FIRST})
        commit(repo, START + timedelta(minutes=40), b"Mean\n\nOf nothing it is 0.", {"stats.py": SECOND})
        commit(repo, START + timedelta(minutes=90), b"Mean of nothing", {"stats.py": THIRD, "tests/test_it.py": "x\n"})
        yield repo


def commit(repo: Repo, moment: datetime, message: bytes, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = Path(repo.path) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    worktree = repo.get_worktree()
    worktree.stage(list(files))
    seconds = int(moment.timestamp())
    worktree.commit(message, ANA, ANA, commit_timestamp=seconds, commit_timezone=0, author_timezone=0)


def bundle_of(repo: Repo) -> bytes:
    made = BytesIO()
    with create_bundle_from_repo(repo) as bundle:
        write_bundle(made, bundle)
    return made.getvalue()


async def test_a_history_imported_twice_is_stored_once(work: Work, repository: Repo) -> None:
    bundle = bundle_of(repository)
    first = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
    assert (first.status_code, first.json()) == (200, {"created": 3, "duplicate": 0, "outside": 1}), first.text
    stored = await work.make.all(GitTrace)
    again = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
    assert again.json() == {"created": 0, "duplicate": 3, "outside": 1}
    assert [row.to_dict() for row in await work.make.all(GitTrace)] == [row.to_dict() for row in stored]


async def test_an_imported_commit_says_what_git_says_of_it(work: Work, repository: Repo) -> None:
    await work.agent.post(f"{work.path}/import", content=bundle_of(repository), headers=BUNDLE)
    _, second, third = (await work.ana.get(work.path)).json()["items"]
    tip = repository[repository.head()]
    assert isinstance(tip, Commit)
    assert third["commit_hash"] == repository.head().decode()
    assert third["parent_commits"] == [second["commit_hash"]] == [tip.parents[0].decode()]
    assert (third["author_name"], third["author_email"]) == ("Ana", "ana@example.edu")
    assert (third["branch_name"], third["event_type"]) == ("master", "commit")
    assert third["timestamp"] == "2026-03-02T11:30:00Z"
    assert second["commit_message"] == "Mean\n\nOf nothing it is 0."
    assert (second["total_lines_added"], second["total_lines_deleted"], second["complexity_delta"]) == (6, 0, 1)
    assert third["files_changed"] == [
        file("stats.py", 1, 1, change_type="modified", is_binary=False),
        file("tests/test_it.py", 1, 0, change_type="added", is_binary=False),
    ]
    assert "-    return 0\n+    return None" in third["diff"]
    assert third["detected_patterns"] == ["small_change", "tests_touched"]


async def test_parallel_imports_of_one_history_store_it_once(work: Work, repository: Repo) -> None:
    bundle = bundle_of(repository)
    answers = await asyncio.gather(
        *[work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE) for _ in range(4)]
    )
    assert sorted(answer.json()["created"] for answer in answers) == [0, 0, 0, 3]
    assert len(await work.make.all(GitTrace)) == 3


async def test_a_history_is_parsed_while_no_connection_is_held(work: Work, repository: Repo) -> None:
    """Who asks and when the session was are read and given back; a history that is none begins no unit of work."""
    seen: list[str] = []
    pool = work.make.database.engine.sync_engine.pool
    listeners = {"checkout": lambda *_: seen.append("out"), "checkin": lambda *_: seen.append("in")}
    for name, listener in listeners.items():
        event.listen(pool, name, listener)
    try:
        await work.agent.post(f"{work.path}/import", content=b"nothing", headers=BUNDLE)
        assert seen == ["out", "in"] * 2
        seen.clear()
        await work.agent.post(f"{work.path}/import", content=bundle_of(repository), headers=BUNDLE)
        assert seen == ["out", "in"] * 3
    finally:
        for name, listener in listeners.items():
            event.remove(pool, name, listener)


def record(n: int, moment: datetime, message: str, statistics: str, parents: str = "") -> str:
    fields = (f"{n:040x}", parents, "Ana", "a@b.co", moment.isoformat(), "refs/heads/work", message)
    return "\x1e" + "\x1f".join(fields) + "\x1f\n" + statistics + "\n"


async def test_a_log_imported_twice_is_stored_once(work: Work) -> None:
    log = (
        record(3, START + timedelta(minutes=50), "Data\n", "-\t-\tdata.bin\n create mode 100644 data.bin\n")
        + record(2, START + timedelta(minutes=20), "Tidy\n\nTwo\tlines", "120\t100\ta.py\n4\t0\tb.py\n", f"{1:040x}")
        + record(1, START - timedelta(hours=1), "Earlier", "1\t0\ta.py\n create mode 100644 a.py\n")
    )
    for expected in ({"created": 2, "duplicate": 0, "outside": 1}, {"created": 0, "duplicate": 2, "outside": 1}):
        answer = await work.agent.post(f"{work.path}/import", content=log.encode(), headers=LOG)
        assert (answer.status_code, answer.json()) == (200, expected), answer.text
    second, third = (await work.ana.get(work.path)).json()["items"]
    assert (second["total_lines_added"], second["total_lines_deleted"]) == (124, 100)
    assert (second["branch_name"], second["commit_message"]) == ("work", "Tidy\n\nTwo\tlines")
    assert second["detected_patterns"] == ["balanced_change"]
    assert third["files_changed"] == [file("data.bin", 0, change_type="added", is_binary=True)]
    assert third["detected_patterns"] == ["binary_files"]


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("text/plain", b"commit 1234\nAuthor: me\n", "LOG_INVALID"),
        ("text/plain", b"\x1eabc\x1f\x1f", "LOG_INVALID"),
        ("text/plain", record(1, START, "m", "not a number of lines").encode(), "LOG_INVALID"),
        ("text/plain", record(1, START, "m", "").replace("+00:00", "").encode(), "LOG_INVALID"),
        ("text/plain", b"\xff\xfe\0", "LOG_INVALID"),
        ("application/x-git-bundle", b"", "VALIDATION_ERROR"),
        ("application/x-git-bundle", b"not a bundle", "BUNDLE_INVALID"),
        ("application/x-git-bundle", b"# v2 git bundle\n\nPACK", "BUNDLE_INVALID"),
        ("application/x-git-bundle", b"# v9 git bundle\n\nPACK\0\0\0\2\0\0\0\0" + bytes(20), "BUNDLE_INVALID"),
        ("application/x-git-bundle", b"\xff" * 5_000, "BUNDLE_INVALID"),
    ],
)
async def test_what_is_no_history_is_refused(work: Work, kind: str, content: bytes, code: str) -> None:
    answer = await work.agent.post(f"{work.path}/import", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert await work.make.all(GitTrace) == []


async def test_another_media_type_or_a_larger_body_is_refused(work: Work) -> None:
    path = f"{work.path}/import"
    assert (await work.agent.post(path, content=b"{}", headers={"content-type": "application/json"})).status_code == 415
    assert (await work.agent.post(path, content=bytes(20_000_001), headers=BUNDLE)).status_code == 413


def pack_of(*objects: bytes) -> bytes:
    """A bundle whose header names one branch, and whose pack holds just these entries."""
    head = b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/main\n\n"
    return head + b"PACK\0\0\0\2" + len(objects).to_bytes(4, "big") + b"".join(objects) + bytes(20)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def entry(kind: int, size: int, data: bytes, base: bytes = b"") -> bytes:
    """An object of a pack, with the size that it claims."""
    rest = size >> 4
    first = kind << 4 | size & 0x0F | (0x80 if rest else 0)
    return bytes([first]) + (varint(rest) if rest else b"") + base + zlib.compress(data)


def bombs() -> Iterator[Any]:
    zeros = bytes(15_000_000)
    blob = entry(3, len(zeros), zeros)
    delta = varint(len(zeros)) + varint(2**34) + b"\x90\x01"
    copies = varint(len(zeros)) + varint(len(zeros))
    yield pytest.param(pack_of(entry(3, 2**34, b"x")), id="an object that says it has 16 GB")
    yield pytest.param(pack_of(*[blob] * 20), id="objects of 300 MB in 300 KB")
    yield pytest.param(pack_of(blob, entry(6, len(delta), delta, base=b"\x01")), id="a delta that makes 16 GB")
    yield pytest.param(pack_of(blob, *[entry(6, len(copies), copies, b"\x01")] * 20), id="deltas that make 300 MB")
    yield pytest.param(b"\n\nPACK\0\0\0\2\xff\xff\xff\xff" + bytes(20), id="four billion objects")


@pytest.mark.parametrize("bundle", list(bombs()))
async def test_a_bomb_is_refused_before_it_is_unpacked(work: Work, bundle: bytes) -> None:
    answer = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
    assert (answer.status_code, answer.json()["code"]) == (422, "BUNDLE_TOO_LARGE"), answer.text


def crafted(*objects: Any, tree: Tree, moment: datetime = START, before: bytes = b"") -> bytes:
    """A bundle of one commit with this tree; the objects are all that its pack holds beside."""
    made = Commit()
    made.tree, made.parents, made.message = tree.id, [], b"Crafted"
    made.author = made.committer = ANA
    made.author_time = made.commit_time = int(moment.timestamp())
    made.author_timezone = made.commit_timezone = 0
    out = BytesIO()
    out.write(b"# v2 git bundle\n" + before + made.id + b" refs/heads/main\n\n")
    write_pack_objects(out, [(found, None) for found in (*objects, made)], DEFAULT_OBJECT_FORMAT)
    return out.getvalue()


def tree_of(*entries: tuple[bytes, Any]) -> Tree:
    tree = Tree()
    for name, child in entries:
        tree.add(name, 0o040000 if isinstance(child, Tree) else 0o100644, child.id)
    return tree


async def test_a_tree_that_unfolds_without_end_is_refused(work: Work) -> None:
    """Ten folders in each of ten folders, ten levels deep, are ten billion in eleven objects."""
    trees = [tree_of()]
    for _ in range(10):
        trees.append(tree_of(*[(b"%d" % n, trees[-1]) for n in range(10)]))
    bundle = crafted(*trees, tree=trees[-1])
    answer = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
    assert (answer.status_code, answer.json()["code"]) == (422, "BUNDLE_TOO_LARGE"), answer.text


async def test_lines_that_are_slow_to_compare_are_counted_all_the_same(work: Work) -> None:
    lines = [b"%d\n" % (n * 7919 % 30_000) for n in range(30_000)]
    blob = Blob.from_string(b"".join(lines))
    tree = tree_of((b"big.txt", blob), (b"nul\x01.bin", Blob.from_string(b"a\0b")))
    bundle = crafted(blob, Blob.from_string(b"a\0b"), tree, tree=tree)
    answer = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
    assert answer.json()["created"] == 1, answer.text
    (stored,) = (await work.ana.get(work.path)).json()["items"]
    assert (stored["total_lines_added"], stored["complexity_delta"]) == (30_000, None)
    assert (len(stored["diff"]), stored["diff_truncated"], stored["message_truncated"]) == (20_000, True, False)
    assert stored["detected_patterns"] == ["large_addition", "binary_files"]


async def test_a_bundle_that_lacks_objects_says_how_to_make_a_whole_one(work: Work) -> None:
    blob = Blob.from_string(b"x")
    tree = tree_of((b"a", blob))
    for bundle in (
        crafted(tree, tree=tree),
        crafted(blob, tree=tree),
        crafted(blob, tree, tree=tree, before=b"-" + b"2" * 40 + b" earlier\n"),
    ):
        answer = await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)
        assert (answer.status_code, answer.json()["code"]) == (422, "BUNDLE_INCOMPLETE"), answer.text
        assert "git bundle create" in answer.json()["detail"]


async def test_a_commit_beyond_any_calendar_lies_outside(work: Work) -> None:
    tree = tree_of()
    bundle = crafted(tree, tree=tree, moment=START)
    assert (await work.agent.post(f"{work.path}/import", content=bundle, headers=BUNDLE)).json()["created"] == 1
    far = crafted(tree, tree=tree, moment=datetime(9999, 12, 31, tzinfo=UTC))
    answer = await work.agent.post(f"{work.path}/import", content=far, headers=BUNDLE)
    assert answer.json() == {"created": 0, "duplicate": 0, "outside": 1}


async def test_one_commit_is_stored_once(work: Work) -> None:
    sent = a_commit(
        files_changed=[file("a.py", 300), file("b.py", 2, 1)],
        diff="+++ b/a.py\n+print(total)\n+if x:\n-while y and z:\n",
        remote_url="https://ana:secret@example.edu/ana/work.git",
        commit_hash="A" * 40,
    )
    answer = await work.agent.post(work.path, json=sent)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/git-traces/{made['id']}"
    assert made["commit_hash"] == "a" * 40
    assert (made["total_lines_added"], made["total_lines_deleted"], made["complexity_delta"]) == (302, 1, -1)
    assert made["detected_patterns"] == ["large_addition", "print_statements"]
    assert made["remote_url"] == "https://example.edu/ana/work.git"
    again = await work.agent.post(work.path, json=sent | {"commit_message": "Other"})
    assert (again.status_code, again.json()) == (200, made)
    assert (await work.ana.get(f"/git-traces/{made['id']}")).json() == made


async def test_the_same_commit_may_belong_to_two_sessions(work: Work) -> None:
    other = await work.make.session(work.ana, start_time=START, end_time=END)
    for session in (work.session, other):
        assert (await work.agent.post(f"/sessions/{session.id}/git-traces", json=a_commit())).status_code == 201


@pytest.mark.parametrize(("minutes", "status"), [(-6, 422), (-4, 201), (60, 201), (124, 201), (126, 422)])
async def test_only_commits_made_during_the_session_belong_to_it(work: Work, minutes: int, status: int) -> None:
    moment = START + timedelta(minutes=minutes)
    answer = await work.agent.post(work.path, json=a_commit(timestamp=moment.isoformat()))
    assert answer.status_code == status, answer.text
    assert status == 201 or answer.json()["code"] == "COMMIT_OUTSIDE_SESSION"


async def test_an_open_session_takes_commits_until_now(work: Work) -> None:
    session = await work.make.session(work.ana, start_time=START)
    path = f"/sessions/{session.id}/git-traces"
    now = utc_now()
    assert (await work.agent.post(path, json=a_commit(1, timestamp=now.isoformat()))).status_code == 201
    later = (now + timedelta(minutes=10)).isoformat()
    assert (await work.agent.post(path, json=a_commit(2, timestamp=later))).status_code == 422


async def test_each_item_of_a_batch_is_judged_for_itself(work: Work) -> None:
    await work.agent.post(work.path, json=a_commit(1))
    items: list[Any] = [
        a_commit(1),
        a_commit(2),
        a_commit(2),
        a_commit(3, timestamp=(END + timedelta(days=1)).isoformat()),
        a_commit(4, commit_hash="short"),
        a_commit(5, author_name="a\0b"),
        17,
        a_commit(6),
    ]
    answer = (await work.agent.post(f"{work.path}/batch", json=items)).json()
    statuses = [item["status"] for item in answer["items"]]
    assert statuses == ["duplicate", "created", "duplicate", "rejected", "rejected", "rejected", "rejected", "created"]
    assert (answer["created"], answer["duplicate"], answer["rejected"]) == (2, 2, 4)
    assert [item["index"] for item in answer["items"]] == list(range(8))
    assert answer["items"][1]["id"] == answer["items"][2]["id"]
    assert answer["items"][3]["code"] == "COMMIT_OUTSIDE_SESSION"
    assert answer["items"][4]["errors"][0]["pointer"] == "/commit_hash"
    assert len(await work.make.all(GitTrace)) == 3
    whole = await work.agent.post(f"{work.path}/batch?atomic=true", json=[a_commit(7), 17])
    assert (whole.status_code, whole.json()["code"]) == (422, "BATCH_REJECTED")
    assert len(await work.make.all(GitTrace)) == 3


async def test_a_batch_has_bounds(work: Work) -> None:
    path = f"{work.path}/batch"
    many = await work.agent.post(path, json=[a_commit(n) for n in range(1_001)])
    assert (many.status_code, many.json()["code"]) == (422, "TOO_MANY_ITEMS")
    assert (await work.agent.post(path, json={"a": 1})).status_code == 422
    json_ = {"content-type": "application/json"}
    assert (await work.agent.post(path, content=b"[{]", headers=json_)).status_code == 400
    assert (await work.agent.post(path, json=[])).json()["items"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"commit_hash": "abc"},
        {"timestamp": "2026-03-02T10:00:00"},
        {"commit_message": "x" * 5_001},
        {"event_type": "push"},
        {"files_changed": [{"file_path": "a", "lines_added": -1}]},
        {"files_changed": [{"file_path": "a", "change_type": "moved"}]},
        {"detected_patterns": ["normal"]},
        {"author_email": "a\0b"},
        {"parent_commits": ["x"]},
        {"diff": "x" * 200_001},
    ],
)
async def test_a_wrong_commit_is_refused(work: Work, wrong: dict[str, Any]) -> None:
    answer = await work.agent.post(work.path, json=a_commit(**wrong))
    assert answer.status_code == 422, answer.text
    assert await work.make.all(GitTrace) == []


async def test_a_commit_is_tied_to_the_step_nearest_in_time(work: Work) -> None:
    async def step(minutes: float, **values: Any) -> str:
        occurred_at = START + timedelta(minutes=minutes)
        return str((await work.make.trace(work.session, **({"occurred_at": occurred_at} | values))).id)

    before = await step(10, cognitive_state="planificacion")
    after = await step(21, cognitive_state="depuracion")
    stored = await step(0, occurred_at=None, created_at=START + timedelta(minutes=70), cognitive_state="reflexion")
    elsewhere = await work.make.session(work.ana, start_time=START, end_time=END)
    await work.make.trace(elsewhere, occurred_at=START + timedelta(minutes=15))
    cases: dict[int, tuple[float, str | None, str | None, int | None]]
    cases = {1: (15, before, "planificacion", 5), 2: (18, after, "depuracion", 8), 3: (72, stored, "reflexion", 2)}
    cases |= {4: (100, stored, "reflexion", 30), 5: (100.1, None, None, None), 6: (-2, before, "planificacion", None)}
    items = [a_commit(n, timestamp=(START + timedelta(minutes=case[0])).isoformat()) for n, case in cases.items()]
    assert (await work.agent.post(f"{work.path}/batch", json=items)).json()["created"] == len(cases)
    for shown, (minutes, id_, state, since) in zip(
        (await work.ana.get(work.path)).json()["items"], cases.values(), strict=True
    ):
        assert shown["related_cognitive_traces"] == ([id_] if id_ else []), minutes
        assert shown["cognitive_state_during_commit"] == state, minutes
        assert shown["time_since_last_interaction_minutes"] == since, minutes


async def history(work: Work) -> list[dict[str, Any]]:
    """Five commits, sent in another order than git's, and six steps."""
    sizes = {1: (5, 0, "a.py"), 2: (260, 10, "b.py"), 3: (80, 60, "a.py"), 4: (1, 1, "tests/c.py"), 5: (0, 3, "a.py")}
    commits = [a_commit(n, files_changed=[file(path, up, down)]) for n, (up, down, path) in sizes.items()]
    for commit_, minutes in zip(commits, (5, 20, 21, 70, 115), strict=True):
        commit_["timestamp"] = (START + timedelta(minutes=minutes)).isoformat()
    await work.agent.post(f"{work.path}/batch", json=commits[::-1])
    for minutes, type_ in ((0, "student_prompt"), (18, "ai_response"), (45, "student_prompt"), (72, "ai_response")):
        await work.make.trace(
            work.session, occurred_at=START + timedelta(minutes=minutes), interaction_type=type_, content="x"
        )
    await work.make.trace(work.session, created_at=START + timedelta(minutes=115, seconds=30), content="untimed")
    return commits


async def test_the_evolution_adds_up(work: Work) -> None:
    sent = await history(work)
    view = (await work.ana.get(f"{work.path}/evolution")).json()
    assert [step["commit_hash"] for step in view["commits"]] == [commit_["commit_hash"] for commit_ in sent]
    up = down = 0
    seen: set[str] = set()
    for step, commit_ in zip(view["commits"], sent, strict=True):
        (change,) = commit_["files_changed"]
        up, down = up + change["lines_added"], down + change["lines_deleted"]
        seen.add(change["file_path"])
        assert (step["cumulative_added"], step["cumulative_deleted"], step["cumulative_net"]) == (up, down, up - down)
        assert (step["files"], step["cumulative_files"]) == (1, len(seen))
    assert [step["minutes_since_previous"] for step in view["commits"]] == [None, 15.0, 1.0, 49.0, 45.0]
    assert [step["detected_patterns"] for step in view["commits"]] == [
        ["small_change"],
        ["large_addition"],
        ["balanced_change"],
        ["small_change", "tests_touched"],
        ["small_change"],
    ]
    assert (view["total_commits"], view["lines_added"], view["lines_deleted"], view["files"]) == (5, up, down, 3)
    assert view["patterns"] == {"small_change": 3, "large_addition": 1, "balanced_change": 1, "tests_touched": 1}


async def test_the_correlation_is_what_a_plain_search_finds(work: Work) -> None:
    sent = await history(work)
    steps = {0: "student_prompt", 18: "ai_response", 45: "student_prompt", 72: "ai_response", 115.5: "student_prompt"}
    view = (await work.ana.get(f"{work.path}/correlation")).json()
    minutes = [(datetime.fromisoformat(commit_["timestamp"]) - START).total_seconds() / 60 for commit_ in sent]
    for shown, moment in zip(view["commits"], minutes, strict=True):
        nearest = min(steps, key=lambda step, at=moment: abs(step - at))  # type: ignore[misc]
        assert shown["nearest"]["distance_seconds"] == (moment - nearest) * 60
        assert shown["nearest"]["interaction_type"] == steps[nearest]
        assert shown["nearest"]["timed"] is (nearest != 115.5)
    assert (view["total_commits"], view["linked"], view["linked_share"], view["window_minutes"]) == (5, 5, 1.0, 30)
    assert view["median_distance_seconds"] == sorted(abs(c["nearest"]["distance_seconds"]) for c in view["commits"])[2]
    timed = {moment: type_ for moment, type_ in steps.items() if moment != 115.5}
    for type_ in ("student_prompt", "ai_response"):
        hits = [any(t == type_ and abs(m - at) <= 30 for m, t in timed.items()) for at in minutes]
        assert view["near"][type_] == sum(hits) / 5
    assert view["after_ai_response"] == 2 / 5


async def test_views_of_a_session_without_history_are_empty(work: Work) -> None:
    evolution = (await work.ana.get(f"{work.path}/evolution")).json()
    assert (evolution["commits"], evolution["total_commits"], evolution["patterns"]) == ([], 0, {})
    correlation = (await work.ana.get(f"{work.path}/correlation")).json()
    assert (correlation["commits"], correlation["linked_share"], correlation["near"]) == ([], None, {})
    assert correlation["after_ai_response"] is None


async def test_the_number_of_statements_does_not_grow_with_the_commits(work: Work) -> None:
    counts = []
    engine = work.make.database.engine.sync_engine
    for n, size in ((1, 1), (2, 200)):
        seen: list[str] = []

        def note(*given: Any, seen: list[str] = seen) -> None:
            seen.append(given[2])

        event.listen(engine, "before_cursor_execute", note)
        items = [a_commit(n * 1_000 + i, timestamp=START.isoformat()) for i in range(size)]
        answer = await work.agent.post(f"{work.path}/batch", json=items)
        await work.ana.get(f"{work.path}/correlation")
        event.remove(engine, "before_cursor_execute", note)
        assert answer.json()["created"] == size
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_who_may_write_and_who_may_read(work: Work) -> None:
    make = work.make
    teacher = await make.teacher(course=work.course)
    tutor = await make.tutor(course=work.course)
    stranger, classmate = await make.teacher(), await make.student(course=work.course)
    git, traces = await make.key("git"), await make.key("traces")
    body = json.dumps([a_commit(2)])
    made = (await work.agent.post(work.path, json=a_commit(1))).json()
    bodies: dict[str, tuple[str, dict[str, str]]] = {
        "": (json.dumps(a_commit(1)), {"content-type": "application/json"}),
        "/batch": (body, {"content-type": "application/json"}),
        "/import": (record(1, START, "x", ""), LOG),
    }
    for path, (content, headers) in bodies.items():
        for someone, status in ((teacher, 403), (tutor, 403), (traces, 403), (classmate, 404), (git, 200)):
            answer = await someone.post(work.path + path, content=content, headers=headers)
            assert answer.status_code == status, (path, someone.student_id, answer.text)
    reads = [work.path, f"{work.path}/evolution", f"{work.path}/correlation", f"/git-traces/{made['id']}"]
    for path in reads:
        for someone, status in ((teacher, 200), (tutor, 200), (git, 200), (traces, 403)):
            assert (await someone.get(path)).status_code == status, path
        for someone in (stranger, classmate):
            assert (await someone.get(path)).status_code == 404, path
    missing = "00000000-0000-7000-8000-000000000000"
    assert (await work.ana.get(f"/git-traces/{missing}")).status_code == 404
    assert (await git.post(f"/sessions/{missing}/git-traces", json=a_commit())).status_code == 404


async def test_one_who_teaches_and_learns_adds_to_their_own_sessions_only(work: Work) -> None:
    both = await work.make.user(Role.STUDENT, Role.TEACHER)
    await work.make.add(CourseMember(course_id=work.course, user_id=both.id, role=CourseRole.TEACHER.value))
    own = await work.make.session(both, start_time=START, end_time=END)
    assert (await both.post(f"/sessions/{own.id}/git-traces", json=a_commit())).status_code == 201
    assert (await both.get(work.path)).status_code == 200
    assert (await both.post(work.path, json=a_commit())).status_code == 403


async def test_a_list_of_commits_is_paged(work: Work) -> None:
    await work.agent.post(f"{work.path}/batch", json=[a_commit(n) for n in range(1, 8)])
    first = (await work.ana.get(f"{work.path}?limit=4&count=true")).json()
    rest = (await work.ana.get(f"{work.path}?cursor={first['next_cursor']}")).json()
    assert first["total"] == 7
    hashes = [item["commit_hash"] for item in first["items"] + rest["items"]]
    assert hashes == [f"{n:040x}" for n in range(1, 8)]
