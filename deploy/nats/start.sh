#!/bin/sh
# Start one node: `sh start.sh NAME`. NATS_NODES: the route addresses of all nodes, with blanks between.
#
# nats.conf reads these two from the environment. The quotes keep a password that begins with a digit
# from being read as a number; the routes need the password too, or the nodes refuse one another.
set -eu
password=$(cat /run/secrets/nats_password)
NATS_PASSWORD="\"$password\""
NATS_ROUTES=""
for node in $NATS_NODES; do
  NATS_ROUTES="$NATS_ROUTES${NATS_ROUTES:+, }\"nats-route://tsunagu:$password@$node\""
done
NATS_ROUTES="[$NATS_ROUTES]"
export NATS_PASSWORD NATS_ROUTES
exec nats-server --config /etc/nats/nats.conf --name "$1"
