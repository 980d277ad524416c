"""The rules on single steps: each finding is about one step, and a rule speaks of the first twenty only.

Every rule takes the steps in the order they happened and gives findings, none where nothing is to be said. What it sees
is what is written down, and nothing else. A change of what a rule sees, or of when it speaks, is a new version;
`docs/rules.md` lists them for teachers.
"""

from collections.abc import Sequence

from cortez.risks.findings import MOST, Finding, Step, Thresholds
from cortez.risks.language import asks_for_the_whole, insecurities, is_question
from cortez.risks.models import RiskLevel, RiskType
from cortez.traces.models import InteractionType
from cortez.traces.rules import MIN_JUSTIFICATION, is_justified

ALTERNATIVES_FROM = 0.5  # AI share above which a step should name an alternative
PASTED_LENGTH, PASTED_WITHIN = 100, 5.0  # characters; seconds

PROMPT, CODE = InteractionType.STUDENT_PROMPT, InteractionType.CODE_COMMIT
DELEGATION_LABELS = {"delegation", "delegacion"}


def delegates(step: Step) -> bool:
    """Whether a prompt asks for the whole: an analysis says so, or its words do."""
    if step.interaction_type != PROMPT:
        return False
    labelled = {(step.strategy_type or "").casefold(), (step.cognitive_intent or "").casefold()} & DELEGATION_LABELS
    return bool(labelled) or is_positive(step.delegation_attempts) or asks_for_the_whole(step.content)


def is_positive(count: str | int | None) -> bool:
    """Whether a value that the client chose is a count above zero, or true."""
    text = str(count or "").strip().lower()
    return text == "true" or (text.isdecimal() and int(text[:9]) > 0)


def delegation(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """A prompt that asks for the whole solution.

    It goes by what an analysis labelled, and by phrases. It cannot know irony, quoted text, or a teacher's leave.
    """
    return [
        Finding(
            rule="delegation",
            version=1,
            type=RiskType.COGNITIVE_DELEGATION,
            level=RiskLevel.HIGH,
            subject=f"trace:{step.id}",
            seen="A prompt asked for a whole solution.",
            otherwise="The task may allow it, the words may be quoted, or it may be wanted for comparison.",
            threshold=0,
            actual=1,
            trace_ids=(step.id,),
        )
        for step in steps
        if delegates(step)
    ][:MOST]


def ai_share(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """A step of the student in which the AI's share is above 0.6 (or the activity's `ai_dependency`).

    The share is what the tutor reports. It cannot know how the tutor measures it.
    """
    return [
        Finding(
            rule="ai_share",
            version=1,
            type=RiskType.AI_DEPENDENCY,
            level=RiskLevel.MEDIUM,
            subject=f"trace:{step.id}",
            seen=f"The AI's share in a step of the student was {step.ai_involvement:.2f}.",
            otherwise="New material, or a step that was meant to be done with the tutor, explains it as well.",
            threshold=thresholds.ai_share_of_step,
            actual=step.ai_involvement,
            trace_ids=(step.id,),
        )
        for step in steps
        if step.is_student_s and step.ai_involvement > thresholds.ai_share_of_step
    ][:MOST]


def no_reason(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """A prompt that is no question and gives a reason of fewer than 20 characters.

    It cannot know reasons that were said aloud, or written where the client does not look for them.
    """
    return [
        Finding(
            rule="no_reason",
            version=1,
            type=RiskType.LACK_JUSTIFICATION,
            level=RiskLevel.LOW,
            subject=f"trace:{step.id}",
            seen="A prompt that asks nothing came without a reason.",
            otherwise="The reason may stand in an earlier step, or the client has no place to write one.",
            threshold=MIN_JUSTIFICATION,
            actual=len((step.decision_justification or "").strip(" ")),
            trace_ids=(step.id,),
        )
        for step in steps
        if step.interaction_type == PROMPT and not is_question(step.content) and not is_justified(step)
    ][:MOST]


def no_alternatives(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """A step of the student with an AI share above 0.5 that names no alternative.

    It cannot know alternatives that were considered and not written down.
    """
    return [
        Finding(
            rule="no_alternatives",
            version=1,
            type=RiskType.UNCRITICAL_ACCEPTANCE,
            level=RiskLevel.MEDIUM,
            subject=f"trace:{step.id}",
            seen=f"A step with an AI share of {step.ai_involvement:.2f} named no alternative.",
            otherwise="There may be only one sensible way, or others were weighed and not written down.",
            threshold=ALTERNATIVES_FROM,
            actual=step.ai_involvement,
            trace_ids=(step.id,),
        )
        for step in steps
        if step.is_student_s and step.ai_involvement > ALTERNATIVES_FROM and not step.has_alternatives
    ][:MOST]


def code_after_prompt(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """More than 100 characters of code within five seconds of a prompt.

    It goes by `occurred_at`. It cannot know code that was written before, elsewhere or together, nor an editor that
    hands in on saving.
    """
    asked: Step | None = None
    found = []
    for step in steps:
        if step.occurred_at is None:
            continue
        if step.interaction_type == PROMPT:
            asked = step
        elif asked and asked.occurred_at and step.interaction_type == CODE and len(step.content) > PASTED_LENGTH:
            gap = (step.occurred_at - asked.occurred_at).total_seconds()
            if gap <= PASTED_WITHIN:
                found.append((asked, step, gap))
    return [
        Finding(
            rule="code_after_prompt",
            version=1,
            type=RiskType.ACADEMIC_INTEGRITY,
            level=RiskLevel.HIGH,
            subject=f"trace:{step.id}",
            seen=f"More than {PASTED_LENGTH} characters of code came {gap:.1f} seconds after a prompt.",
            otherwise="The code may have been written before, elsewhere or together; some editors hand in on saving.",
            threshold=PASTED_WITHIN,
            actual=round(gap, 3),
            trace_ids=(asked.id, step.id),
        )
        for asked, step, gap in found[:MOST]
    ]


def insecure_code(steps: Sequence[Step], thresholds: Thresholds) -> list[Finding]:
    """Code of the student with a pattern that is often a weakness (`language.INSECURE`).

    It reads texts, not programs. It cannot know where the input comes from, nor that the code is an exercise.
    """
    found = [(step, insecurities(step.content)) for step in steps if step.interaction_type == CODE]
    return [
        Finding(
            rule="insecure_code",
            version=1,
            type=RiskType.SECURITY_VULNERABILITY,
            level=RiskLevel.MEDIUM,
            subject=f"trace:{step.id}",
            seen=f"The code shows {', '.join(names)}.",
            otherwise="In an exercise without foreign input this may do no harm; a comment or a test matches as well.",
            threshold=0,
            actual=len(names),
            trace_ids=(step.id,),
            advice="Ask what would happen if somebody else chose the input.",
        )
        for step, names in found
        if names
    ][:MOST]
