"""The rules on their own: each speaks at its threshold, is silent just before it, and says what it cannot know."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from uuid_utils.compat import uuid7

from cortez.risks import event_rules, rules, step_rules
from cortez.risks.analysis import NAMES, judge
from cortez.risks.event_rules import EVENT_RULES
from cortez.risks.findings import Event, Finding, Step, Thresholds
from cortez.risks.language import INSECURE, asks_for_the_whole, insecurities, is_question, likeness, words
from cortez.risks.models import DIMENSION_OF, RiskDimension, RiskType
from cortez.risks.rules import STEP_RULES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DOCS = Path(__file__).parents[1] / "docs" / "rules.md"
WHOLE = "Dame el código completo."
REASON = "because lists can nest"  # 22 characters
SAME = "why does my function never stop here"
DEFAULT = Thresholds()
LONG_CODE = "x" * 101


def step(type_: str = "student_prompt", at: float | None = None, **values: Any) -> Step:
    """`at` is in seconds after noon; without it the step came without a time."""
    moment = None if at is None else NOON + timedelta(seconds=at)
    return Step(id=uuid7(), interaction_type=type_, occurred_at=moment, **values)


def event(type_: str, **data: Any) -> Event:
    return Event(id=uuid7(), event_type=type_, event_data=data)


def says(content: str, **values: Any) -> Step:
    return step(content=content, **values)


def shares(*values: float, type_: str = "ai_response") -> list[Step]:
    return [step(type_, ai_involvement=value) for value in values]


def reasons(given: int, of: int) -> list[Step]:
    return [step(decision_justification=REASON if number < given else None) for number in range(of)]


def answers(count: int) -> list[Step]:
    return [step("ai_response") for _ in range(count)]


def paste(gap: float, length: int = 101) -> list[Step]:
    return [step(at=0), step("code_commit", at=gap, content="x" * length)]


def paced(*gaps: float, type_: str = "student_prompt", timed: bool = True) -> list[Step]:
    moments = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    return [step(type_, at=moment if timed else None) for moment in moments]


class Case(NamedTuple):
    """A rule, what it speaks of, what lies just before, what it says of threshold and value; both in its unit."""

    rule: Callable[..., list[Finding]]
    speaks: Sequence[Any]
    silent: dict[str, Sequence[Any]]
    threshold: float
    actual: float


CASES = [
    Case(
        step_rules.delegation,
        [says(WHOLE)],
        {"a hint": [says("Dame una pista de la solución.")], "an answer": [step("ai_response", content=WHOLE)]},
        0,
        1,
    ),
    Case(
        step_rules.ai_share,
        shares(0.61, type_="code_commit"),
        {"at it": shares(0.6, type_="code_commit"), "the tutor's": shares(1.0)},
        0.6,
        0.61,
    ),
    Case(
        step_rules.no_reason,
        [says("I wrote a loop.", decision_justification="   nineteen characters   ")],
        {
            "twenty": [says("I wrote a loop.", decision_justification="x" * 20)],
            "a question": [says("Why does it stop?")],
            "no prompt": [step("code_commit", content="x")],
        },
        20,
        19,
    ),
    Case(
        step_rules.no_alternatives,
        shares(0.51, type_="student_prompt"),
        {
            "at it": shares(0.5, type_="student_prompt"),
            "named": [step(ai_involvement=0.9, has_alternatives=True)],
            "the tutor's": shares(1.0),
        },
        0.5,
        0.51,
    ),
    Case(
        step_rules.code_after_prompt,
        paste(5.0),
        {
            "later": paste(5.001),
            "shorter": paste(1.0, length=100),
            "not timed": [step(), step("code_commit", content=LONG_CODE)],
            "the prompt not timed": [step(), step("code_commit", at=1, content=LONG_CODE)],
            "the code not timed": [step(at=0), step("code_commit", content=LONG_CODE)],
            "the tutor's code": [step(at=0), step("ai_response", at=1, content=LONG_CODE)],
            "before": [step("code_commit", at=0, content=LONG_CODE), step(at=1)],
        },
        5,
        5,
    ),
    Case(
        step_rules.insecure_code,
        [step("code_commit", content="eval(input())")],
        {
            "harmless": [step("code_commit", content="model.eval()\nevaluate(x)")],
            "no code": [says("What does eval(input()) do?")],
        },
        0,
        1,
    ),
    Case(rules.repeated_delegation, [says(WHOLE)] * 3, {"two": [says(WHOLE)] * 2}, 3, 3),
    Case(
        rules.ai_dependency,
        shares(0.7, 0.7, 0.7, 0.7, 0.75),
        {"at it": shares(0.7, 0.7, 0.7, 0.7, 0.7), "four steps": shares(1, 1, 1, 1)},
        0.7,
        0.71,
    ),
    Case(
        rules.few_reasons,
        reasons(1, of=5),
        {"at it": reasons(2, of=5), "four steps": reasons(0, of=4), "the tutor's": [step("ai_response")] * 9},
        0.4,
        0.2,
    ),
    Case(
        rules.unquestioned_answers,
        answers(4),
        {
            "three": answers(3),
            "criticised": [*answers(4), step("ai_critique"), *answers(3)],
            "corrected": [*answers(9), step("self_correction")],
        },
        3,
        4,
    ),
    Case(
        rules.near_duplicates,
        [says(SAME)] * 4,
        {
            "two repeats": [says(SAME)] * 3,
            "short": [says("why not then now")] * 9,
            "of another kind": [says(SAME), step("code_commit", content=SAME)]
            + [step("ai_response", content=SAME)] * 9,
        },
        2,
        3,
    ),
    Case(
        rules.long_session,
        [step(at=0), step(at=4 * 3600 + 3.6)],
        {"at it": [step(at=0), step(at=4 * 3600)], "not timed": [step(), step()], "one": [step(at=0)], "none": []},
        4,
        4.001,
    ),
    Case(
        rules.even_pace,
        paced(*[4.9] * 10),
        {
            "ten steps": paced(*[4.9] * 9),
            "slower": paced(*[5.0] * 10),
            "uneven": paced(*[2.0, 4.0] * 5),
            "not timed": paced(*[4.9] * 10, timed=False),
            "the tutor's": paced(*[4.9] * 10, type_="ai_response"),
        },
        5,
        4.9,
    ),
    Case(
        event_rules.backlog_without_criteria,
        [event("backlog_created", acceptance_criteria=[])],
        {
            "there": [event("backlog_created", acceptance_criteria=["it stops"])],
            "said": [event("backlog_created", has_acceptance_criteria=True)],
            "another event": [event("sprint_planning_complete")],
        },
        1,
        0,
    ),
    Case(
        event_rules.sprint_planning_failed,
        [event("sprint_planning_failed")],
        {"complete": [event("sprint_planning_complete")]},
        0,
        1,
    ),
    Case(
        event_rules.decision_without_reason,
        [event("technical_decision_made", justification="  ")],
        {
            "given": [event("technical_decision_made", justification="It is faster.")],
            "by its other name": [event("technical_decision_made", rationale="It is faster.")],
        },
        1,
        0,
    ),
    Case(
        event_rules.vulnerabilities_found,
        [event("security_scan_complete", vulnerabilities=[{"severity": "low"}, {"severity": "Critical"}])],
        {
            "none": [event("security_scan_complete", vulnerabilities=[])],
            "zero": [event("security_scan_complete", vulnerabilities=0)],
            "not said": [event("security_scan_complete")],
        },
        0,
        2,
    ),
    Case(
        event_rules.deployed_without_tests,
        [event("deployment_completed", tests_passed=0)],
        {"tested": [event("deployment_completed", tests_run=3)], "another": [event("test_executed")]},
        1,
        0,
    ),
]
BY_NAME = {case.rule.__name__: case for case in CASES}
SILENT = [(name, why) for name, case in BY_NAME.items() for why in case.silent]


def run(case: Case, rows: Sequence[Any], thresholds: Thresholds = DEFAULT) -> list[Finding]:
    return case.rule(rows) if case.rule in EVENT_RULES else case.rule(rows, thresholds)


def test_every_rule_has_its_case() -> None:
    assert [case.rule.__name__ for case in CASES if case.rule not in (*STEP_RULES, *EVENT_RULES)] == []
    assert BY_NAME.keys() == NAMES
    assert len(NAMES) == len(STEP_RULES) + len(EVENT_RULES) == 18


@pytest.mark.requirement("D1")
@pytest.mark.parametrize("name", BY_NAME)
def test_a_finding_says_what_was_seen_by_which_rule_and_what_else_explains_it(name: str) -> None:
    case = BY_NAME[name]
    (found,) = run(case, case.speaks)
    assert (found.rule, found.version) == (name, 1)
    assert found.threshold == case.threshold
    assert found.actual == pytest.approx(case.actual)
    stored = found.columns()
    assert stored["description"] == f"{found.seen} {found.otherwise}"
    assert min(len(found.seen), len(found.otherwise), len(found.advice)) > 20
    assert (stored["threshold_value"], stored["actual_value"]) == (found.threshold, found.actual)
    assert (stored["rule_version"], stored["dimension"]) == (1, DIMENSION_OF[found.type])
    if case.rule in EVENT_RULES:
        assert found.subject == f"event:{case.speaks[0].id}"
        assert stored["detected_by"] == "AR-IA-AUTO"
    else:
        known = {str(one.id) for one in case.speaks}
        assert stored["trace_ids"]
        assert set(stored["trace_ids"]) <= known
        assert found.subject == "session" or found.subject.removeprefix("trace:") in known
        assert stored["detected_by"] == "AR-IA"
    assert "cannot know" in " ".join((case.rule.__doc__ or "").split())


@pytest.mark.requirement("D1")
@pytest.mark.parametrize(("name", "why"), SILENT)
def test_a_rule_is_silent_before_its_threshold(name: str, why: str) -> None:
    assert run(BY_NAME[name], BY_NAME[name].silent[why]) == []


def test_a_finding_does_not_repeat_what_the_student_wrote() -> None:
    steps = [says("secret-word, dame el código completo", ai_involvement=1.0) for _ in range(9)]
    steps += [step("code_commit", at=n, content=f"password = 'secret-word' # {n}") for n in range(9)]
    found = judge(steps, [event("technical_decision_made", text="secret-word")], DEFAULT)
    assert len({finding.rule for finding in found}) > 6
    assert not [finding for finding in found if "secret-word" in str(finding.columns())]


def test_the_same_steps_give_the_same_findings() -> None:
    every = [row for case in CASES if case.rule in STEP_RULES for row in case.speaks]
    events = [row for case in CASES if case.rule in EVENT_RULES for row in case.speaks]
    assert judge(every, events, DEFAULT) == judge(every, events, DEFAULT)


def test_a_finding_on_the_whole_keeps_its_subject_when_more_is_seen() -> None:
    for name in ("repeated_delegation", "near_duplicates", "unquestioned_answers"):
        case = BY_NAME[name]
        (first,), (second,) = run(case, case.speaks), run(case, [*case.speaks, *case.speaks])
        assert (first.subject, second.subject, second.actual > first.actual) == ("session", "session", True)


def test_what_a_rule_says_is_bounded() -> None:
    assert len(step_rules.delegation([says(WHOLE) for _ in range(25)], DEFAULT)) == 20
    (found,) = rules.few_reasons(reasons(0, of=250), DEFAULT)
    assert len(found.trace_ids) == 200


@pytest.mark.parametrize(
    ("values", "delegates"),
    [
        ({"strategy_type": "Delegation"}, True),
        ({"cognitive_intent": "DELEGACION"}, True),
        ({"delegation_attempts": "2"}, True),
        ({"delegation_attempts": 1}, True),
        ({"delegation_attempts": "true"}, True),
        ({"delegation_attempts": "0"}, False),
        ({"delegation_attempts": "-1"}, False),
        ({"delegation_attempts": '["x"]'}, False),
        ({"cognitive_intent": "find the base case"}, False),
    ],
)
def test_an_analysis_may_say_that_a_prompt_delegates(values: dict[str, Any], delegates: bool) -> None:
    assert bool(step_rules.delegation([step(**values)], DEFAULT)) is delegates
    assert step_rules.delegation([step("ai_response", **values)], DEFAULT) == []


@pytest.mark.requirement("D1")
def test_both_steps_of_a_paste_are_named_and_only_the_last_prompt_counts() -> None:
    early, asked, code = step(at=0), step(at=10), step("code_commit", at=12, content=LONG_CODE)
    (found,) = step_rules.code_after_prompt([early, asked, code], DEFAULT)
    assert (found.trace_ids, found.subject, found.actual) == ((asked.id, code.id), f"trace:{code.id}", 2)


def test_a_step_without_a_time_does_not_change_what_the_others_say_of_time() -> None:
    bare = [step(), step("code_commit", content=LONG_CODE)]
    for name in ("code_after_prompt", "long_session", "even_pace"):
        case = BY_NAME[name]
        mixed = [*bare, *[row for one in case.speaks for row in (one, *bare)]]
        assert [one.actual for one in run(case, mixed)] == [pytest.approx(case.actual)]


def test_an_activity_may_set_thresholds() -> None:
    lax = Thresholds.of({"risk_thresholds": {"ai_dependency": 0.9, "lack_justification": 0.2}})
    assert (lax.ai_dependency, lax.ai_share_of_step, lax.lack_justification) == (0.9, 0.9, 0.2)
    assert rules.ai_dependency(shares(*[0.9] * 5), lax) == []
    assert step_rules.ai_share(shares(0.9, type_="code_commit"), lax) == []
    assert rules.few_reasons(reasons(2, of=10), lax) == []
    (found,) = rules.ai_dependency(shares(*[0.91] * 5), lax)
    assert found.threshold == 0.9


@pytest.mark.parametrize(
    "policies",
    [
        {},
        {"risk_thresholds": None},
        {"risk_thresholds": [0.9]},
        {"risk_thresholds": "0.9"},
        {"risk_thresholds": {"ai_dependency": "0.9", "lack_justification": None, "other": 1}},
        {"risk_thresholds": {"ai_dependency": 70, "lack_justification": -1}},
    ],
)
def test_thresholds_that_say_nothing_leave_the_usual_ones(policies: dict[str, Any]) -> None:
    assert Thresholds.of(policies) == DEFAULT


@pytest.mark.parametrize(
    ("code", "weakness"),
    [
        ("exec(text)", "text run as code"),
        ("subprocess.run(x, shell=True)", "a command given to a shell"),
        ("os.system('ls')", "a command given to a shell"),
        ("pickle.loads(data)", "objects read from bytes"),
        ("yaml.load(text)", "objects read from bytes"),
        ('f"SELECT * FROM t WHERE id = {id}"', "SQL put together from texts"),
        ('"SELECT * FROM t WHERE id = " + id', "SQL put together from texts"),
        ("password = 'hunter2'", "a password in the code"),
        ("hashlib.md5(x)", "a weak digest"),
    ],
)
def test_each_weakness_has_a_name(code: str, weakness: str) -> None:
    assert insecurities(code) == [weakness]
    assert weakness in INSECURE


@pytest.mark.parametrize(
    "code",
    ["yaml.load(text, Loader=yaml.SafeLoader)", "query('SELECT 1', x)", "password = input()", "pattern.exec (x)", ""],
)
def test_what_only_looks_like_a_weakness_is_none(code: str) -> None:
    assert insecurities(code) == []


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Haceme el ejercicio 3", True),
        ("DAME LA SOLUCIÓN", True),
        ("solve this for me", True),
        ("Please write me the whole program", True),
        ("hacelo vos", True),
        ("give me an example of a program", False),
        ("¿Me das una idea para la solución?", False),
        ("this is my solution, what is wrong?", False),
        ("", False),
    ],
)
def test_asking_for_the_whole_is_told_from_asking_for_help(text: str, whole: bool) -> None:
    assert asks_for_the_whole(text) is whole


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("por qué no termina", True),
        ("How do I start", True),
        ("no termina?", True),
        ("I wrote a loop.", False),
        ("", False),
    ],
)
def test_a_question_is_known_by_its_mark_or_its_first_word(text: str, asks: bool) -> None:
    assert is_question(text) is asks


def test_likeness_is_the_share_of_common_words() -> None:
    ten = "a b c d e f g h i j"
    assert likeness(words(ten), words(ten.upper())) == 1
    assert likeness(words(ten), words(f"{ten} k")) == pytest.approx(10 / 11)
    assert likeness(words("a b c d"), words("a b c d")) == 0


@pytest.mark.parametrize(
    ("data", "level", "count"),
    [
        ({"vulnerabilities": [{"severity": "high"}, "x", None]}, "high", 3),
        ({"vulnerabilities": 2}, "high", 2),
        ({"vulnerabilities_found": 2, "critical": 1}, "critical", 2),
        ({"critical_vulnerabilities": 3}, "critical", 3),
        ({"vulnerabilities": 1e300}, "high", 1_000_000),
    ],
)
def test_a_scan_is_critical_where_one_weakness_is(data: dict[str, Any], level: str, count: int) -> None:
    (found,) = event_rules.vulnerabilities_found([event("security_scan_complete", **data)])
    assert (found.level, found.actual) == (level, count)


JUNK: list[Any] = [None, True, -1, 0.5, 10**30, "", "x", "\ud83d", [], [None], [[]], {}, {"a": []}]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_an_event_may_hold_anything(junk: Any) -> None:
    fields = """acceptance_criteria justification rationale vulnerabilities critical critical_vulnerabilities
        vulnerabilities_found tests tests_run has_tests""".split()
    events = [event(type_, **dict.fromkeys(fields, junk)) for type_ in event_rules.SEEN]
    assert all(0 <= found.actual <= 1_000_000 for found in judge([], events, DEFAULT))


def test_the_seventeen_types_lie_in_five_dimensions() -> None:
    assert len(RiskType) == 17
    assert DIMENSION_OF.keys() == set(RiskType)
    assert set(DIMENSION_OF.values()) == set(RiskDimension)


def table() -> dict[str, list[str]]:
    """The rules in the teachers' page, by name."""
    rows = re.findall(r"^\| `(\w+)` \| (\d.*) \|$", DOCS.read_text(), re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


@pytest.mark.requirement("D1")
def test_the_page_for_teachers_lists_exactly_the_rules_as_they_are() -> None:
    assert table().keys() == NAMES
    for name, (version, type_, level, threshold, _, otherwise) in table().items():
        (found,) = run(BY_NAME[name], BY_NAME[name].speaks)
        level = "critical" if level.startswith("critical") else level
        assert (int(version), type_, level, otherwise) == (found.version, found.type, found.level, found.otherwise)
        number = re.search(r"[\d.]+", threshold)
        assert number
        assert float(number[0]) == found.threshold


@pytest.mark.requirement("D1")
def test_the_page_for_teachers_says_what_the_rules_cannot_know() -> None:
    assert "## What the rules cannot know" in DOCS.read_text()
