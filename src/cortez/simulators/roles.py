"""The eleven roles that a simulator plays, and the events that belong to each."""

from msgspec import Struct

from cortez.errors import NotFound
from cortez.sessions.models import SimulatorType


class SimulatorRole(Struct, frozen=True):
    """`events` are the event types that the rules know of; others are kept as well."""

    type: SimulatorType
    name: str
    description: str
    events: list[str]


ROLES = {
    role.type: role
    for role in (
        SimulatorRole(
            SimulatorType.PRODUCT_OWNER,
            "Product owner",
            "Says what is wanted and why, asks for acceptance criteria, changes priorities.",
            ["backlog_created", "user_story_approved"],
        ),
        SimulatorRole(
            SimulatorType.SCRUM_MASTER,
            "Scrum master",
            "Leads planning and retrospectives, asks what is in the way.",
            ["sprint_planning_complete", "sprint_planning_failed"],
        ),
        SimulatorRole(
            SimulatorType.TECH_INTERVIEWER,
            "Technical interviewer",
            "Asks conceptual, algorithmic, design and behavioural questions, and listens to how an answer is reached.",
            [],
        ),
        SimulatorRole(
            SimulatorType.INCIDENT_RESPONDER,
            "Incident responder",
            "Presents a failure in production with logs and metrics, and asks for a diagnosis.",
            ["incident_resolved"],
        ),
        SimulatorRole(
            SimulatorType.CLIENT,
            "Client",
            "Knows the business and not the technique; wants to be understood.",
            ["user_story_approved"],
        ),
        SimulatorRole(
            SimulatorType.DEVSECOPS,
            "DevSecOps engineer",
            "Runs the pipeline, scans for weaknesses, asks how they are closed.",
            ["security_scan_complete", "deployment_completed"],
        ),
        SimulatorRole(
            SimulatorType.SENIOR_DEV,
            "Senior developer",
            "Reviews code and asks for the reasons behind a decision.",
            ["technical_decision_made"],
        ),
        SimulatorRole(
            SimulatorType.QA_ENGINEER,
            "Quality engineer",
            "Looks for what was not tested.",
            ["test_executed"],
        ),
        SimulatorRole(
            SimulatorType.SECURITY_AUDITOR,
            "Security auditor",
            "Checks against a standard and wants evidence.",
            ["security_scan_complete", "risk_identified_by_user"],
        ),
        SimulatorRole(
            SimulatorType.TECH_LEAD,
            "Technical lead",
            "Weighs alternatives, cost and risk of a design.",
            ["technical_decision_made", "risk_identified_by_user"],
        ),
        SimulatorRole(
            SimulatorType.DEMANDING_CLIENT,
            "Demanding client",
            "Presses for dates and features, so that one learns to say what is possible.",
            ["sprint_planning_failed"],
        ),
    )
}


def role_of(type_: str) -> SimulatorRole:
    try:
        return ROLES[SimulatorType(type_)]
    except ValueError:
        raise NotFound("simulator", type_) from None
