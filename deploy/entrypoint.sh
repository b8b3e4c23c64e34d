#!/bin/sh
# What libpq wants to find passwords in: a file that its user alone can read. It is gone with the container's /tmp.
set -eu
if [ -n "${PGPASS:-}" ]; then
    (umask 077 && printf '%s\n' "$PGPASS" >"$PGPASSFILE")
fi
exec env -u PGPASS "$@"
