"""Life cycles of plans, alerts and interventions."""

from cortez.core.lifecycle import Transitions
from cortez.oversight.models import AlertStatus, InterventionStatus, PlanStatus

PLAN: Transitions = {
    "start": ({PlanStatus.PENDING}, PlanStatus.IN_PROGRESS),
    "complete": ({PlanStatus.IN_PROGRESS}, PlanStatus.COMPLETED),
    "cancel": ({PlanStatus.PENDING, PlanStatus.IN_PROGRESS}, PlanStatus.CANCELLED),
}
UNFINISHED = {PlanStatus.PENDING, PlanStatus.IN_PROGRESS}

LIVING = {AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.INVESTIGATING}
ALERT: Transitions = {
    "acknowledge": ({AlertStatus.OPEN}, AlertStatus.ACKNOWLEDGED),
    "investigate": ({AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED}, AlertStatus.INVESTIGATING),
    "resolve": (LIVING, AlertStatus.RESOLVED),
    "dismiss": (LIVING, AlertStatus.FALSE_POSITIVE),
}

# By the state that is wanted: acknowledged, in progress, resolved or escalated, closed.
INTERVENTION: Transitions = {
    "in_progress": ({InterventionStatus.ACKNOWLEDGED}, InterventionStatus.IN_PROGRESS),
    "resolved": ({InterventionStatus.IN_PROGRESS}, InterventionStatus.RESOLVED),
    "escalated": ({InterventionStatus.IN_PROGRESS}, InterventionStatus.ESCALATED),
    "closed": ({InterventionStatus.RESOLVED, InterventionStatus.ESCALATED}, InterventionStatus.CLOSED),
}
