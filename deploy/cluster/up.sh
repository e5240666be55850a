#!/usr/bin/env bash
# Copies the binary to every machine of a hosts file and starts a node there; nodes that run are left alone.
#   up.sh HOSTS [BINARY]          HOSTS: see hosts.example; BINARY: target/release/enact
set -euo pipefail
hosts=${1:?usage: up.sh HOSTS [BINARY]}
binary=${2:-target/release/enact}
[ -x "$binary" ] || { echo "error: no binary at $binary" >&2; echo "  help: cargo build --release" >&2; exit 1; }

# The first machine is whom the others join; any that runs would do.
first=$(awk '!/^ *(#|$)/ { print $3; exit }' "$hosts")

while read -r machine name address; do
  case "$machine" in '' | \#*) continue ;; esac
  join=()
  [ "$address" = "$first" ] || join=(--join "tcp/$first:7700")
  echo "$machine: node $name at $address"
  scp -q "$binary" "$machine:enact.new"
  # shellcheck disable=SC2029
  ssh "$machine" "mv enact.new enact && if [ -e enact.pid ] && kill -0 \$(cat enact.pid) 2>/dev/null; then echo '  runs already'; else
    nohup ./enact node --name $name --listen tcp/$address:7700 --insecure ${join[*]} --data enact-data > enact.log 2>&1 & echo \$! > enact.pid; fi" </dev/null
done < "$hosts"
