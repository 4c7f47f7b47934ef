#!/bin/sh
# libpq takes a password from a file only if nobody else can read it, and compose mounts secrets with
# the mode they have on the host: so the service's own copy is made here, in memory (/tmp is a tmpfs).
set -eu
umask 077
if [ -e /run/secrets/database_password ]; then
  printf '*:*:*:*:%s\n' "$(cat /run/secrets/database_password)" > "$PGPASSFILE"
fi
exec "$@"
