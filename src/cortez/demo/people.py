"""Who signs in to the demo course."""

PASSWORD = "demo-password"  # noqa: S105 - printed on the front page, in development only
TEACHER, TUTOR, ADMIN = "profe", "tutora", "admin"
FIRST_STUDENT = "al-0001"
