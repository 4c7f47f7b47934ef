#!/bin/sh
# Run once, by the postgres image, when its folder is empty: one role and one database per service.
# No role may connect to another's database, so what audit keeps cannot be joined with the keys.
# `keys` is intake's: it holds the wrapped data keys and nothing else.
set -eu
for name in keys referral delivery audit console; do
  psql --username="$POSTGRES_USER" --dbname=postgres --no-psqlrc --set=ON_ERROR_STOP=1 \
    --set=role="tsunagu_$name" --set=secret="/run/secrets/database_$name" <<'SQL'
\set password `cat :secret`
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
psql --username="$POSTGRES_USER" --dbname=postgres --no-psqlrc --set=ON_ERROR_STOP=1 <<'SQL'
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
SQL
