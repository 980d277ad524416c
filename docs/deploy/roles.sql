-- Run once by the image of PostgreSQL, on an empty volume, as its superuser: who owns and migrates, and who serves
-- (docs/audit.md). What the second may do is granted by `cortez migrate --grant-to cortez_service`.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
CREATE ROLE cortez_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE cortez_service LOGIN PASSWORD :'service_password';
-- Behind PgBouncer timeouts come from the role; without it, the service sets its own.
ALTER ROLE cortez_service SET statement_timeout = '30s';
ALTER ROLE cortez_service SET lock_timeout = '5s';
ALTER ROLE cortez_service SET idle_in_transaction_session_timeout = '30s';
CREATE DATABASE cortez OWNER cortez_owner;
