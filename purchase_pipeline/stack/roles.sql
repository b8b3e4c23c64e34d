-- Three roles, each with what it needs and no more: purchase_loader owns the purchases, purchase_reader reads them,
-- dagster owns Dagster's own database. The embedded server has them from its first start. In a server of your own, once
-- the databases etl_fakedata and dagster are there, run this as its superuser, as often as you like:
--
--     psql --set ON_ERROR_STOP=1 --dbname postgres --file roles.sql
--
-- and give each a password, which psql's \password sends hashed. Nobody else can connect to the two databases then.
-- Each statement that names the reader stands on a line of its own: `purchase-pipeline db-url --reader` shows those.

DO $$ BEGIN CREATE ROLE purchase_loader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE purchase_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE dagster LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE purchase_reader SET default_transaction_read_only = on;
REVOKE ALL ON DATABASE etl_fakedata, dagster FROM PUBLIC;

\connect etl_fakedata
ALTER SCHEMA public OWNER TO purchase_loader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- Tables and views that somebody else made before.
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
-- The doors last: where they are open, all behind them is ready.
ALTER DATABASE dagster OWNER TO dagster;
GRANT CONNECT, TEMPORARY ON DATABASE etl_fakedata TO purchase_loader;
GRANT CONNECT ON DATABASE etl_fakedata TO purchase_reader;
