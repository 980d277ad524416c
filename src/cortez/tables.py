"""The schema's map: importing this module registers every table."""

from cortez.accounts import models as accounts
from cortez.activities import models as activities
from cortez.adoption import models as adoption
from cortez.audit import models as audit
from cortez.content import models as content
from cortez.core.db.base import Base
from cortez.core.web import idempotency, rate_limit_store
from cortez.evaluations import models as evaluations
from cortez.exercises import models as exercises
from cortez.git import models as git
from cortez.lti import models as lti
from cortez.oversight import models as oversight
from cortez.privacy import models as erasures
from cortez.profiles import models as profiles
from cortez.reports import models as reports
from cortez.risks import models as risks
from cortez.sequences import models as sequences
from cortez.sessions import models as sessions
from cortez.simulators import models as simulators
from cortez.traces import models as traces

metadata = Base.metadata

__all__ = [
    "accounts",
    "activities",
    "adoption",
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
    "profiles",
    "rate_limit_store",
    "reports",
    "risks",
    "sequences",
    "sessions",
    "simulators",
    "traces",
]
