#!/usr/bin/env bash
# Stops the nodes that up.sh started, gently: components stop in order, the group is told. Their data stays.
#   down.sh HOSTS
set -euo pipefail
hosts=${1:?usage: down.sh HOSTS}
while read -r machine name _; do
  case "$machine" in '' | \#*) continue ;; esac
  echo "$machine: node $name"
  ssh "$machine" 'test -e enact.pid && kill -TERM $(cat enact.pid) && rm enact.pid || echo "  does not run"' </dev/null
done < "$hosts"
