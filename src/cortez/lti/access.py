"""Who may see and change what."""

from cortez.core.web.guards import allow

machines = allow("key:lti")
