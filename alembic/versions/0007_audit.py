"""the audit log: triggers that append to it, seals that show a change of it, and who read what

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
KINDS = "actor_kind IN ('person', 'key', 'anonymous', 'service', 'command', 'database')"


class Audited(NamedTuple):
    """What the log says of a table's rows, as `name` or `name:kind` (kinds: uuid, doc, bool, time, blob; else a text or a number).

    `about` is the column whose person's key digests the `masked` values; `people` appear by alias, `plain` as they are.
    What is named nowhere (stamps, counters of sign-ins) makes no entry when it changes.
    """

    table: str
    events: str
    about: str
    people: str
    plain: str
    masked: str


AUDITED = (
    Audited(
        "users",
        "INSERT UPDATE DELETE",
        "id:uuid",
        "id:uuid student_id",
        "roles:doc is_active:bool is_verified:bool",
        "email username hashed_password full_name course_name commission reset_hash:blob",
    ),
    Audited(
        "api_keys",
        "INSERT UPDATE DELETE",
        "",
        "",
        "name scopes:doc course_ids:doc expires_at:time",
        "key_hash:blob",
    ),
    Audited("course_members", "INSERT UPDATE DELETE", "user_id:uuid", "user_id:uuid", "course_id role", ""),
    Audited(
        "evaluations",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id overall_competency_level overall_score ai_dependency_score evaluator evaluator_version",
        "dimensions key_strengths improvement_areas recommendations reasoning_analysis git_analysis ai_dependency_metrics",
    ),
    Audited(
        "risks",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id risk_type risk_level dimension resolved:bool resolved_at:time resolution rule rule_version threshold_value actual_value",
        "description impact evidence trace_ids root_cause impact_assessment recommendations pedagogical_intervention resolution_notes detected_by subject",
    ),
    Audited(
        "teacher_interventions",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id teacher_id:uuid",
        "session_id:uuid intervention_type status resolved_at:time",
        "alert_id notes action_taken resolution_notes alert_context",
    ),
    Audited(
        "remediation_plans",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id teacher_id:uuid",
        "activity_id plan_type start_date:time target_completion_date:time actual_completion_date:time status",
        "trigger_risks description objectives recommended_actions progress_notes completion_evidence outcome_evaluation success_metrics",
    ),
    Audited(
        "exercise_attempts",
        "INSERT UPDATE DELETE",
        "student_id",
        "student_id",
        "exercise_id:uuid session_id:uuid attempt_number status tests_passed tests_total score hints_used penalty_applied",
        "submitted_code rubric_evaluation",
    ),
    Audited(
        "lti_deployments",
        "INSERT UPDATE DELETE",
        "",
        "",
        "platform_name issuer client_id deployment_id auth_login_url auth_token_url public_keyset_url access_token_url is_active:bool",
        "",
    ),
    Audited(
        "cognitive_traces",
        "UPDATE DELETE",
        "student_id",
        "student_id",
        "session_id:uuid activity_id trace_level interaction_type cognitive_state ai_involvement parent_trace_id:uuid occurred_at:time",
        "content context trace_metadata cognitive_intent decision_justification alternatives_considered strategy_type semantic_understanding algorithmic_evolution cognitive_reasoning interactional_data ethical_risk_data process_data agent_id ingest_digest:blob",
    ),
    Audited(
        "sessions",
        "DELETE",
        "student_id",
        "student_id user_id:uuid",
        "activity_id course_id mode simulator_type start_time:time end_time:time status trace_count",
        "learning_objective cognitive_status session_metrics",
    ),
)
APPEND_ONLY = ("audit_log", "audit_leaves", "audit_seals")


def names(columns: str) -> str:
    return ",".join(column.partition(":")[0] for column in columns.split())


# PostgreSQL. A person's key is made when the log first needs it; two that need it at once get the same one.
FUNCTIONS = (
    """
    CREATE FUNCTION cortez_key_of(person text) RETURNS subject_keys LANGUAGE plpgsql AS $$
    DECLARE
        known subject_keys;
        secret bytea;
        pads bytea := decode(repeat('36', 64) || repeat('5c', 64), 'hex');
    BEGIN
        SELECT * INTO known FROM subject_keys WHERE subject = person;
        IF known.id IS NULL THEN
            secret := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
            FOR i IN 0..31 LOOP
                pads := set_byte(pads, i, get_byte(pads, i) # get_byte(secret, i));
                pads := set_byte(pads, 64 + i, get_byte(pads, 64 + i) # get_byte(secret, i));
            END LOOP;
            INSERT INTO subject_keys (id, created_at, updated_at, subject, alias, pads)
            VALUES (gen_random_uuid(), clock_timestamp(), clock_timestamp(), person, gen_random_uuid()::text, pads)
            ON CONFLICT (subject) DO NOTHING;
            SELECT * INTO STRICT known FROM subject_keys WHERE subject = person;
        END IF;
        RETURN known;
    END $$
    """,
    """
    CREATE FUNCTION cortez_hmac(pads bytea, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT 'hmac:' || encode(sha256(substr(pads, 65) || sha256(substr(pads, 1, 64) || convert_to(value, 'UTF8'))), 'hex')
    $$
    """,
    """
    CREATE FUNCTION cortez_shown(entry jsonb, other jsonb, pads bytea, people text, plain text, masked text)
    RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
        found jsonb := '{}';
        name text;
        value text;
    BEGIN
        IF entry IS NULL THEN
            RETURN NULL;
        END IF;
        FOREACH name IN ARRAY string_to_array(concat_ws(',', nullif(people, ''), nullif(plain, ''), nullif(masked, '')), ',') LOOP
            CONTINUE WHEN other IS NOT NULL AND other -> name = entry -> name;
            value := entry ->> name;
            found := found || jsonb_build_object(name, CASE
                WHEN value IS NULL OR name = ANY (string_to_array(plain, ',')) THEN entry -> name
                WHEN name = ANY (string_to_array(people, ',')) THEN to_jsonb((cortez_key_of(value)).alias)
                ELSE to_jsonb(cortez_hmac(pads, value))
            END);
        END LOOP;
        RETURN found;
    END $$
    """,
    """
    CREATE FUNCTION cortez_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' AS $$
    DECLARE
        older jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
        newer jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
        entry jsonb := coalesce(older, newer);
        about subject_keys := cortez_key_of(coalesce(entry ->> TG_ARGV[0], ''));
        was jsonb := cortez_shown(older, newer, about.pads, TG_ARGV[1], TG_ARGV[2], TG_ARGV[3]);
        row_id text := entry ->> 'id';
        said text := nullif(current_setting('cortez.actor', true), '');
        kind text := coalesce(split_part(said, ':', 1), 'database');
        actor text := coalesce(nullif(substr(said, length(kind) + 2), ''), CASE WHEN said IS NULL THEN session_user END);
    BEGIN
        IF was = '{}' THEN
            RETURN NULL;
        END IF;
        IF 'id' = ANY (string_to_array(TG_ARGV[1], ',')) THEN
            row_id := (cortez_key_of(row_id)).alias;
        END IF;
        IF kind = 'person' THEN
            actor := (cortez_key_of(actor)).alias;
        END IF;
        INSERT INTO audit_log (id, created_at, updated_at, position, xid, table_name, row_id, operation, actor_kind, actor,
            subject, request_id, "before", "after", salt)
        VALUES (gen_random_uuid(), clock_timestamp(), clock_timestamp(), nextval('audit_log_position'),
            pg_current_xact_id()::text::bigint, TG_TABLE_NAME, row_id, lower(TG_OP), kind, actor,
            CASE WHEN TG_ARGV[0] <> '' THEN about.alias END, nullif(current_setting('cortez.request_id', true), ''),
            was, cortez_shown(newer, older, about.pads, TG_ARGV[1], TG_ARGV[2], TG_ARGV[3]), uuid_send(gen_random_uuid()));
        RETURN NULL;
    END $$
    """,
    # Temporary tables come last in the path, so that none of them can stand in for a table of the log.
    """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION cortez_audit() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    END $$
    """,
    """
    CREATE FUNCTION cortez_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of % is refused: it would escape the audit log', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
)


def for_postgresql() -> Iterator[str]:
    yield "CREATE SEQUENCE audit_log_position"
    yield from FUNCTIONS
    for one in AUDITED:
        said = ", ".join(f"'{names(part)}'" for part in (one.about, one.people, one.plain, one.masked))
        yield (
            f"CREATE TRIGGER trg_audit_{one.table} AFTER {' OR '.join(one.events.split())} ON {one.table} "
            f"FOR EACH ROW EXECUTE FUNCTION cortez_audit({said})"
        )
        yield (
            f"CREATE TRIGGER trg_audit_{one.table}_truncated BEFORE TRUNCATE ON {one.table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION cortez_append_only()"
        )
    for table in APPEND_ONLY:
        yield (
            f"CREATE TRIGGER trg_{table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION cortez_append_only()"
        )


# SQLite. Who acts, and the digests, come from functions that every connection of the service brings along. Its clock has
# milliseconds: an id that begins with the position keeps what happened within one in order.
NEW_KEY = """INSERT INTO subject_keys (id, created_at, updated_at, subject, alias, pads)
    SELECT lower(hex(randomblob(16))), {now}, {now}, person, lower(hex(randomblob(16))), cortez_new_pads()
    FROM (SELECT {person} AS person) WHERE person IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM subject_keys WHERE subject = person);"""
NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
ROWS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
ACTING = "CASE WHEN cortez_actor_kind() = 'person' THEN cortez_actor() END"


def as_text(row: str, column: str) -> str:
    """The column's value as PostgreSQL would write it in a document."""
    name, _, kind = column.partition(":")
    value = f"{row}.{name}"
    if kind == "uuid":
        parts = "||'-'||".join(
            f"substr({value}, {start}, {length})" for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
        return f"({parts})"
    forms = {
        "doc": f"json({value})",
        "bool": f"json(CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)",
        "time": f"(replace({value}, ' ', 'T') || '+00:00')",
        "blob": f"hex({value})",
    }
    return forms.get(kind, value)


def alias_of(person: str) -> str:
    return f"(SELECT alias FROM subject_keys WHERE subject = {person})"


def shown(row: str, one: Audited, pads: str) -> str:
    fields = [f"'{names(column)}', {as_text(row, column)}" for column in one.plain.split()]
    fields += [f"'{names(column)}', {alias_of(as_text(row, column))}" for column in one.people.split()]
    for column in one.masked.split():
        value = f"hex({row}.{names(column)})" if column.endswith(":blob") else f"{row}.{column}"
        fields.append(
            f"'{names(column)}', cortez_hmac({pads}, CASE WHEN {row}.{names(column)} IS NOT NULL THEN {value} END)"
        )
    return f"json_object({', '.join(fields)})"


def for_sqlite() -> Iterator[str]:
    for one in AUDITED:
        for event in one.events.split():
            yield trigger(one, event)
    for table in APPEND_ONLY:
        for event in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER trg_{table}_{event.lower()} BEFORE {event} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{event} of {table} is refused: it would escape the audit log'); END"
            )


def trigger(one: Audited, event: str) -> str:
    row = "NEW" if event == "INSERT" else "OLD"
    about = as_text(row, one.about) if one.about else "''"
    pads = f"(SELECT pads FROM subject_keys WHERE subject = {about})"
    people = {about, ACTING, *(as_text(seen, column) for seen in ROWS[event] for column in one.people.split())}
    keys = "\n".join(NEW_KEY.format(now=NOW, person=person) for person in sorted(people))
    before = shown("OLD", one, pads) if event != "INSERT" else "NULL"
    after = shown("NEW", one, pads) if event != "DELETE" else "NULL"
    if event == "UPDATE":
        before, after = f"cortez_changed({before}, {after})", f"cortez_changed({after}, {before})"
    columns = " ".join((one.people, one.plain, one.masked)).split()
    differs = " OR ".join(f"OLD.{names(column)} IS NOT NEW.{names(column)}" for column in columns)
    row_id = alias_of(as_text(row, "id:uuid")) if "id:uuid" in one.people.split() else as_text(row, "id:uuid")
    return f"""CREATE TRIGGER trg_audit_{one.table}_{event.lower()} AFTER {event} ON {one.table}
    {f"WHEN {differs}" if event == "UPDATE" else ""} BEGIN
    {keys}
    INSERT INTO audit_log (id, created_at, updated_at, position, table_name, row_id, operation, actor_kind, actor, subject,
        request_id, "before", "after", salt)
    SELECT printf('%016x', number) || lower(hex(randomblob(8))), {NOW}, {NOW}, number,
        '{one.table}', {row_id}, '{event.lower()}', cortez_actor_kind(),
        CASE WHEN cortez_actor_kind() = 'person' THEN {alias_of("cortez_actor()")} ELSE cortez_actor() END,
        {alias_of(about) if one.about else "NULL"}, cortez_request_id(), {before}, {after}, randomblob(16)
    FROM (SELECT coalesce(max(position), 0) + 1 AS number FROM audit_log);
    END"""


def table(name: str, *parts: sa.schema.SchemaItem) -> None:
    """A table with the key and the stamps that each has."""
    op.create_table(
        name,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        *parts,
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )


def upgrade() -> None:
    table(
        "audit_log",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("xid", sa.BigInteger()),
        sa.Column("table_name", sa.String(63), nullable=False),
        sa.Column("row_id", sa.String(36), nullable=False),
        sa.Column("operation", sa.String(10), nullable=False),
        sa.Column("actor_kind", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(100)),
        sa.Column("subject", sa.String(36)),
        sa.Column("request_id", sa.String(100)),
        sa.Column("before", DOCUMENT),
        sa.Column("after", DOCUMENT),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("operation IN ('insert', 'update', 'delete')", name="ck_audit_operation_valid"),
        sa.CheckConstraint(KINDS, name="ck_audit_actor_kind_valid"),
        sa.UniqueConstraint("position", name="uq_audit_log_position"),
    )
    op.create_index("idx_audit_created", "audit_log", ["created_at", "id"])
    op.create_index("idx_audit_row", "audit_log", ["table_name", "row_id"])
    op.create_index("idx_audit_actor", "audit_log", ["actor"])
    op.create_index("idx_audit_subject", "audit_log", ["subject"])
    table(
        "audit_seals",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("number", name="uq_audit_seals_number"),
    )
    table(
        "audit_leaves",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("seal_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["seal_id"], ["audit_seals.id"], name="fk_audit_leaves_seal_id", ondelete="RESTRICT"),
        sa.UniqueConstraint("entry_id", name="uq_audit_leaves_entry_id"),
        sa.UniqueConstraint("seal_id", "place", name="uq_audit_leaves_seal_id_place"),
    )
    table(
        "subject_keys",
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("alias", sa.String(36), nullable=False),
        sa.Column("pads", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("subject", name="uq_subject_keys_subject"),
        sa.UniqueConstraint("alias", name="uq_subject_keys_alias"),
    )
    table(
        "access_log",
        sa.Column("actor_kind", sa.String(10), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("student_id", sa.String(100), nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("request_id", sa.String(100), nullable=False),
        sa.CheckConstraint(KINDS, name="ck_access_actor_kind_valid"),
    )
    op.create_index("idx_access_student", "access_log", ["student_id", "created_at"])
    for statement in for_sqlite() if op.get_context().dialect.name == "sqlite" else for_postgresql():
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for one in AUDITED:
            for event in one.events.split():
                op.execute(f"DROP TRIGGER trg_audit_{one.table}_{event.lower()}")
    else:
        for one in AUDITED:
            op.execute(f"DROP TRIGGER trg_audit_{one.table} ON {one.table}")
            op.execute(f"DROP TRIGGER trg_audit_{one.table}_truncated ON {one.table}")
    for name in ("audit_leaves", "audit_seals", "audit_log", "access_log"):
        op.drop_table(name)
    if op.get_context().dialect.name == "postgresql":
        for function in (
            "cortez_audit()",
            "cortez_append_only()",
            "cortez_shown(jsonb, jsonb, bytea, text, text, text)",
            "cortez_hmac(bytea, text)",
            "cortez_key_of(text)",
        ):
            op.execute(f"DROP FUNCTION {function}")
        op.execute("DROP SEQUENCE audit_log_position")
    op.drop_table("subject_keys")
