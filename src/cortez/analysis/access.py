"""Who may see and change what."""

from cortez.core.web.guards import allow

readers = allow("student", "tutor", "teacher", "key:read", "key:sessions")

view_readers = allow("student", "tutor", "teacher", "key:read", "key:sessions", "key:analysis")
comparers = allow("tutor", "teacher", "key:read", "key:analysis")
