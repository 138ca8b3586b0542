#!/bin/sh
# SPDX-License-Identifier: MIT
# The scenario against the containers of docker-compose.yml, which it builds and starts where they are not yet, and
# leaves running. COMPOSE is the command for them, `docker compose` unless told otherwise.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
COMPOSE=${COMPOSE:-docker compose}

$COMPOSE up -d --build
server=$($COMPOSE port server 8080)
site=$($COMPOSE port site 8000)
# The containers may have run before, and their crawl be over: this one is new. It ends with 2, by the broken link.
code=0
$COMPOSE run --rm -T crawler --new-crawl http://site:8000/demo/ || code=$?
if [ "$code" != 2 ]; then
    echo "FAILED: the crawler ended with $code, not 2" >&2
    exit 1
fi
python3 "$here/scenario.py" --server="http://$server" --site="http://$site" --site-inside=http://site:8000 \
    --crawler-made=http://site:8000/demo/ --stop-database="$COMPOSE stop db" --start-database="$COMPOSE start db"
echo "the stack still runs: http://$server/ shows it, \`$COMPOSE down --volumes\` ends it"
