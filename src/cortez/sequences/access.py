"""Who may see and change what."""

from cortez.core.web.guards import allow

readers = allow("student", "tutor", "teacher", "key:read", "key:traces", "key:analysis")
rollers = allow("teacher", "key:traces", "key:analysis")
