-- Set the passwords of the roles in 20-roles.sql. Runs once, when the volume is new.
\getenv loader LOADER_PASSWORD
\getenv reader READER_PASSWORD
\getenv dagster DAGSTER_PASSWORD
ALTER ROLE purchase_loader PASSWORD :'loader';
ALTER ROLE purchase_reader PASSWORD :'reader';
ALTER ROLE dagster PASSWORD :'dagster';
