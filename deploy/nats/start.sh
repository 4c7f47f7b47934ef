#!/bin/sh
# Start one node: `sh start.sh NAME`. NATS_NODES: the route addresses of all nodes, with blanks between.
#
# nats.conf reads these from the environment. The quotes keep a password that begins with a digit from
# being read as a number; the routes need the password too, or the nodes refuse one another.
set -eu
for login in cluster intake referral delivery audit console door carrier warden; do
  password=$(cat "/run/secrets/nats_$login")
  name=$(echo "NATS_$login" | tr a-z A-Z)
  export "$name=\"$password\""
done

# intake makes the key by which agencies are let in, at its first start, and puts the public half here.
until [ -s /etc/nats/issuer/nats_issuer ]; do sleep 0.2; done
NATS_ISSUER="\"$(cat /etc/nats/issuer/nats_issuer)\""

password=$(cat /run/secrets/nats_cluster)
NATS_ROUTES=""
for node in $NATS_NODES; do
  NATS_ROUTES="$NATS_ROUTES${NATS_ROUTES:+, }\"nats-route://tsunagu:$password@$node\""
done
NATS_ROUTES="[$NATS_ROUTES]"
export NATS_ISSUER NATS_ROUTES
exec nats-server --config /etc/nats/nats.conf --name "$1"
