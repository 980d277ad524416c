"""Courses of any size, by statements over whole tables, for what is measured at scale. PostgreSQL only.

Each student has ten sessions on twenty activities, each session ten steps; some have risks, most an evaluation.
"""

import asyncio

import asyncpg

STEPS = 10
PER_STUDENT = 10
COURSE = "bench-0"

# Ids in the order of time, as the service makes them; PostgreSQL has a function for that only since 18.
BEGIN = """
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE FUNCTION pg_temp.id_at(moment timestamptz, salt text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3)
        || '8' || substr(md5(salt), 5, 15))::uuid
$$;
"""
PEOPLE = """
INSERT INTO users (id, created_at, updated_at, email, username, hashed_password, roles, student_id, is_active,
    is_verified)
SELECT pg_temp.id_at(now(), 'user' || n), now(), now(), 'bench' || n || '@example.org', 'bench' || n, '!',
    '["student"]', 'bench-' || n, true, true
FROM generate_series(1, {students}) n;
INSERT INTO courses (id, created_at, updated_at, course_id, title)
SELECT gen_random_uuid(), now(), now(), 'bench-' || n, 'Bench' FROM generate_series(0, {courses} - 1) n;
INSERT INTO course_members (joined_at, id, created_at, updated_at, course_id, user_id, role)
SELECT now(), gen_random_uuid(), now(), now(), 'bench-' || substr(student_id, 7)::int % {courses}, id, 'student'
FROM users WHERE student_id LIKE 'bench-%';
INSERT INTO activities (id, created_at, updated_at, activity_id, title, instructions, status, evaluation_criteria, tags,
    policies)
SELECT gen_random_uuid(), now(), now(), 'bench-' || n, 'Activity', 'Do', 'active', '[]', '[]', '{{}}'
FROM generate_series(0, 19) n;
"""
WORK = """
INSERT INTO sessions (id, created_at, updated_at, student_id, activity_id, course_id, mode, start_time, end_time,
    status, learning_objective, cognitive_status, session_metrics, trace_count)
SELECT pg_temp.id_at(at, 'session' || n), at, at, 'bench-' || (1 + n % {students}), 'bench-' || (n % 20),
    'bench-' || (1 + n % {students}) % {courses}, 'tutor', at, at + interval '1h', 'completed', '{{}}', '{{}}', '{{}}',
    {steps}
FROM (SELECT n, timestamptz '2026-03-01' + n * interval '30 seconds' AS at FROM generate_series(1, {sessions}) n) x;
INSERT INTO cognitive_traces (id, created_at, updated_at, session_id, student_id, activity_id, trace_level,
    interaction_type, content, context, trace_metadata, cognitive_state, cognitive_intent, decision_justification,
    alternatives_considered, strategy_type, ai_involvement, semantic_understanding, algorithmic_evolution,
    cognitive_reasoning, interactional_data, ethical_risk_data, process_data, occurred_at)
SELECT pg_temp.id_at(at, id::text || n), at, at, id, student_id, activity_id, 'n4_cognitivo',
    (ARRAY['student_prompt', 'ai_response', 'code_commit'])[1 + n % 3],
    repeat('Why does this loop end one too early? ', 1 + n % 8), jsonb_build_object('file', 'main.py', 'line', n),
    '{{"client": "web"}}', (ARRAY['exploracion', 'planificacion', 'implementacion', NULL])[1 + n % 4],
    'understand the loop', CASE WHEN n % 2 = 0 THEN 'Because the range leaves out its end' END, '["while loop"]',
    'trial', (n % 11) / 10.0, jsonb_build_object('understanding_level', n / 10.0), '{{"version": 2}}',
    '{{"metacognitive_awareness": 0.5, "note": "plans ahead"}}', '{{"prompt_quality_score": 0.7}}',
    '{{"delegation_attempts": 0}}', jsonb_build_object('phase', 'coding', 'pauses', n), at
FROM (
    SELECT s.*, n, s.start_time + n * interval '1 second' AS at
    FROM sessions s, generate_series(1, {steps}) n WHERE s.student_id LIKE 'bench-%' ORDER BY s.start_time, n
) x;
INSERT INTO risks (id, created_at, updated_at, session_id, student_id, activity_id, risk_type, risk_level, dimension,
    description, evidence, trace_ids, recommendations, resolved, detected_by)
SELECT gen_random_uuid(), created_at, created_at, id, student_id, activity_id, 'ai_dependency',
    (ARRAY['low', 'medium', 'high', 'critical'])[1 + extract(minute FROM start_time)::int % 4], 'cognitive', 'x',
    '[]', '[]', '[]', false, 'AR-IA'
FROM sessions WHERE student_id LIKE 'bench-%' AND extract(minute FROM start_time)::int % 3 = 0;
INSERT INTO evaluations (id, created_at, updated_at, session_id, student_id, activity_id, overall_competency_level,
    overall_score, dimensions, key_strengths, improvement_areas, recommendations, ai_dependency_score)
SELECT gen_random_uuid(), created_at, created_at, id, student_id, activity_id, 'en_desarrollo', 5.5, '[]', '[]', '[]',
    '{{}}', 0.3
FROM sessions WHERE student_id LIKE 'bench-%' AND extract(minute FROM start_time)::int % 2 = 0;
COMMIT;
"""


def fill(url: str, traces: int, courses: int = 1) -> None:
    """So many traces, and what belongs to them, in so many courses; then what the planner wants to know."""
    sessions = traces // STEPS
    named = {"sessions": sessions, "students": max(1, sessions // PER_STUDENT), "steps": STEPS, "courses": courses}
    asyncio.run(_run(url, BEGIN + (PEOPLE + WORK).format(**named)))


async def _run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
