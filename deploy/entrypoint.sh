#!/bin/sh
# Write libpq's password file, readable only by its user. It is lost with the container's /tmp.
set -eu
if [ -n "${PGPASS:-}" ]; then
    (umask 077 && printf '%s\n' "$PGPASS" >"$PGPASSFILE")
fi
exec env -u PGPASS "$@"
