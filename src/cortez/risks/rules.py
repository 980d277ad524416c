"""The rules on a whole session, and the list of all rules on steps. They are written as those on single steps are."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean, pvariance

from cortez.risks.findings import Finding, Step, Thresholds, ids
from cortez.risks.language import likeness, words
from cortez.risks.models import RiskLevel, RiskType
from cortez.risks.step_rules import (
    CODE,
    PROMPT,
    ai_share,
    code_after_prompt,
    delegates,
    delegation,
    insecure_code,
    no_alternatives,
    no_reason,
)
from cortez.traces.models import InteractionType
from cortez.traces.rules import is_justified

StepRule = Callable[[Sequence[Step], Thresholds], list[Finding]]

MIN_STEPS = 5  # below which a share or a mean says nothing
DELEGATIONS = 3
UNQUESTIONED = 3
ALIKE, REPEATS, LOOK_BACK = 0.9, 2, 20  # likeness; repeats; steps of the same kind to compare with
LONG_HOURS = 4.0
EVEN_STEPS, EVEN_GAP, EVEN_VARIANCE = 10, 5.0, 1.0  # steps; seconds; seconds squared

CRITIQUES = {InteractionType.AI_CRITIQUE, InteractionType.SELF_CORRECTION}


def seconds(steps: Sequence[Step]) -> list[float]:
    """When the timed steps happened."""
    return [step.occurred_at.timestamp() for step in steps if step.occurred_at]


def repeated_delegation(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """Three prompts or more that ask for the whole solution.

    What it cannot know is what `delegation` cannot know, three times over.
    """
    found = [step for step in steps if delegates(step)]
    if len(found) < DELEGATIONS:
        return []
    return [
        Finding(
            rule="repeated_delegation",
            version=1,
            type=RiskType.COGNITIVE_DELEGATION,
            level=RiskLevel.HIGH,
            seen=f"{len(found)} prompts asked for a whole solution.",
            otherwise="Somebody who is stuck and unheard asks again and again; look at what the tutor answered.",
            threshold=DELEGATIONS,
            actual=len(found),
            trace_ids=ids(found),
            advice="Look for the first of these prompts: what was missing there?",
        )
    ]


def ai_dependency(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """A mean AI share above 0.7 (or the activity's `ai_dependency`) over at least five steps.

    It cannot know the work that happened away from the tutor: an own step that nobody recorded does not count.
    """
    if len(steps) < MIN_STEPS:
        return []
    mean = fmean(step.ai_involvement for step in steps)
    if mean <= thresholds.ai_dependency:
        return []
    return [
        Finding(
            rule="ai_dependency",
            version=1,
            type=RiskType.AI_DEPENDENCY,
            level=RiskLevel.MEDIUM,
            seen=f"Over {len(steps)} steps the AI's mean share was {mean:.2f}.",
            otherwise="A first session on new material, or own work that was not recorded, explains it as well.",
            threshold=thresholds.ai_dependency,
            actual=round(mean, 4),
            trace_ids=ids(step for step in steps if step.ai_involvement > thresholds.ai_dependency),
            advice="Offer a next task that begins without the tutor.",
        )
    ]


def few_reasons(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """Fewer than 0.4 (or the activity's `lack_justification`) of the student's steps, at least five, give a reason.

    A reason has at least 20 characters. It cannot know what a reason is worth, nor those given elsewhere.
    """
    own = [step for step in steps if step.is_student_s]
    bare = [step for step in own if not is_justified(step)]
    reasoned = len(own) - len(bare)
    if len(own) < MIN_STEPS or reasoned / len(own) >= thresholds.lack_justification:
        return []
    return [
        Finding(
            rule="few_reasons",
            version=1,
            type=RiskType.LACK_JUSTIFICATION,
            level=RiskLevel.MEDIUM,
            seen=f"{reasoned} of the student's {len(own)} steps gave a reason.",
            otherwise="Not every step needs one, and a client may have no place to write it.",
            threshold=thresholds.lack_justification,
            actual=round(reasoned / len(own), 4),
            trace_ids=ids(bare),
            advice="Ask for the reason of one of these steps.",
        )
    ]


def unquestioned_answers(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """More than three answers of the AI with neither a critique nor a correction after them.

    It cannot know doubts that nobody wrote down, nor whether the answers were right and needed none.
    """
    answers: list[Step] = []
    for step in steps:
        if step.interaction_type in CRITIQUES:
            answers.clear()
        elif step.interaction_type == InteractionType.AI_RESPONSE:
            answers.append(step)
    if len(answers) <= UNQUESTIONED:
        return []
    return [
        Finding(
            rule="unquestioned_answers",
            version=1,
            type=RiskType.UNCRITICAL_ACCEPTANCE,
            level=RiskLevel.MEDIUM,
            seen=f"{len(answers)} answers of the AI were followed by no critique and no correction.",
            otherwise="A right answer needs no correction, and a tutor that asks back leaves nothing to criticise.",
            threshold=UNQUESTIONED,
            actual=len(answers),
            trace_ids=ids(answers),
            advice="Ask what could be wrong with one of these answers.",
        )
    ]


def near_duplicates(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """More than two prompts or pieces of code that nearly repeat an earlier one of their kind.

    Two texts are alike where they share at least 0.9 of their words, five or more. It cannot know that a send was
    repeated by the network, nor that one changed character was the whole point.
    """
    earlier: defaultdict[str, deque[frozenset[str]]] = defaultdict(lambda: deque(maxlen=LOOK_BACK))
    found = []
    for step in steps:
        if step.interaction_type in (PROMPT, CODE):
            mine = words(step.content)
            if any(likeness(mine, other) >= ALIKE for other in earlier[step.interaction_type]):
                found.append(step)
            earlier[step.interaction_type].append(mine)
    if len(found) <= REPEATS:
        return []
    return [
        Finding(
            rule="near_duplicates",
            version=1,
            type=RiskType.SUPERFICIAL_REASONING,
            level=RiskLevel.LOW,
            seen=f"{len(found)} steps nearly repeat an earlier one.",
            otherwise="A small change can be the right one, and clients sometimes send twice.",
            threshold=REPEATS,
            actual=len(found),
            trace_ids=ids(found),
        )
    ]


def long_session(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """More than four hours between the first and the last timed step.

    It cannot know breaks: a session that was left open over lunch is long too.
    """
    timed = [step for step in steps if step.occurred_at]
    moments = seconds(timed)
    hours = (moments[-1] - moments[0]) / 3600 if moments else 0.0
    if hours <= LONG_HOURS:
        return []
    return [
        Finding(
            rule="long_session",
            version=1,
            type=RiskType.NO_SELF_REGULATION,
            level=RiskLevel.LOW,
            seen=f"{hours:.1f} hours lie between the first and the last step.",
            otherwise="Breaks are not recorded; the session may simply have stayed open.",
            threshold=LONG_HOURS,
            actual=round(hours, 4),
            trace_ids=ids((timed[0], timed[-1])),
        )
    ]


def even_pace(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """More than ten timed steps of the student, less than five seconds apart on average and very evenly (variance < 1).

    It cannot know whether the client stamps the steps when they happen or when it sends them.
    """
    timed = [step for step in steps if step.is_student_s and step.occurred_at]
    if len(timed) <= EVEN_STEPS:
        return []
    gaps = [after - before for before, after in pairwise(seconds(timed))]
    mean = fmean(gaps)
    if mean >= EVEN_GAP or pvariance(gaps) >= EVEN_VARIANCE:
        return []
    return [
        Finding(
            rule="even_pace",
            version=1,
            type=RiskType.AUTOMATION_SUSPECTED,
            level=RiskLevel.MEDIUM,
            seen=f"{len(timed)} steps came {mean:.1f} seconds apart, very evenly.",
            otherwise="A client that stamps steps when it sends them, or work prepared offline, looks the same.",
            threshold=EVEN_GAP,
            actual=round(mean, 3),
            trace_ids=ids(timed),
        )
    ]


STEP_RULES: tuple[StepRule, ...] = (
    delegation,
    ai_share,
    no_reason,
    no_alternatives,
    repeated_delegation,
    ai_dependency,
    few_reasons,
    code_after_prompt,
    unquestioned_answers,
    insecure_code,
    near_duplicates,
    long_session,
    even_pace,
)
