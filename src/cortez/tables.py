"""The schema's map: importing this module registers every table."""

from cortez import idempotency, throttling
from cortez.accounts import models as accounts
from cortez.activities import models as activities
from cortez.adoption import models as adoption
from cortez.analysis import models as analysis
from cortez.content import models as content
from cortez.db import Base
from cortez.evaluations import models as evaluations
from cortez.exercises import models as exercises
from cortez.lti import models as lti
from cortez.oversight import models as oversight
from cortez.records import audit_models as audit
from cortez.records import erasure_models as erasures
from cortez.risks import models as risks
from cortez.sessions import models as sessions
from cortez.simulators import models as simulators
from cortez.traces import git_models as git
from cortez.traces import models as traces

metadata = Base.metadata

__all__ = [
    "accounts",
    "activities",
    "adoption",
    "analysis",
    "audit",
    "content",
    "erasures",
    "evaluations",
    "exercises",
    "git",
    "idempotency",
    "lti",
    "metadata",
    "oversight",
    "risks",
    "sessions",
    "simulators",
    "throttling",
    "traces",
]
