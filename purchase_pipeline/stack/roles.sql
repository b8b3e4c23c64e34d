-- Three roles with minimal privileges: purchase_loader owns the purchases, purchase_reader reads them, dagster owns
-- Dagster's database. The embedded server runs this file at its start. On your own server, create the databases
-- etl_fakedata and dagster, then run it as the superuser (it is idempotent):
--
--     psql --set ON_ERROR_STOP=1 --dbname postgres --file roles.sql
--
-- and set a password for each (psql's \password sends it hashed). Other roles can no longer connect to the databases.
-- Statements that name the reader must be on one line: `purchase-pipeline db-url --reader` prints them.

DO $$ BEGIN CREATE ROLE purchase_loader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE purchase_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE dagster LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE purchase_reader SET default_transaction_read_only = on;
REVOKE ALL ON DATABASE etl_fakedata, dagster FROM PUBLIC;

\connect etl_fakedata
ALTER SCHEMA public OWNER TO purchase_loader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- Existing tables and views of other owners.
DO $$ DECLARE held regclass; BEGIN
  FOR held IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND relowner <> 'purchase_loader'::regrole
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') -- an extension's
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO purchase_loader', held); END LOOP;
END $$;
GRANT USAGE ON SCHEMA public TO purchase_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO purchase_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE purchase_loader IN SCHEMA public GRANT SELECT ON TABLES TO purchase_reader;

\connect dagster
ALTER SCHEMA public OWNER TO dagster;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
DO $$ DECLARE held regclass; BEGIN
  FOR held IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
    AND relowner <> 'dagster'::regrole
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO dagster', held); END LOOP;
END $$;
-- CONNECT is granted last: a role that can connect has all its privileges.
ALTER DATABASE dagster OWNER TO dagster;
GRANT CONNECT, TEMPORARY ON DATABASE etl_fakedata TO purchase_loader;
GRANT CONNECT ON DATABASE etl_fakedata TO purchase_reader;
