#!/bin/sh
# Write the secrets that compose.yaml mounts, into deploy/secrets. What is there already is kept.
#
# The folder is the owner's alone (0700). The files in it are readable (0444), because compose mounts
# them with the owner and mode they have here and the containers run under users of their own.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
for name in nats_cluster nats_intake nats_referral nats_delivery nats_audit nats_console nats_door \
    nats_carrier nats_warden database_admin database_keys database_referral database_delivery \
    database_audit database_console; do
  if [ ! -e "secrets/$name" ]; then
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "secrets/.$name"
    chmod 444 "secrets/.$name"
    mv "secrets/.$name" "secrets/$name"
    echo "made secrets/$name"
  fi
done
