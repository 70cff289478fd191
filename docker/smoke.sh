#!/usr/bin/env bash
# Builds the image, indexes, serves, updates, kills and restarts in containers, and removes everything afterwards.
#   docker/smoke.sh                       needs Docker, docker-compose 1.29 or Compose v2, curl and python3
#   BUILD_FLAGS='--network host' docker/smoke.sh    passes flags to docker build
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=mrl-smoke MRL_IMAGE=adaptive-retrieval:smoke
export MRL_API_KEY="mrl_$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
PORT=${SMOKE_PORT:-18000}
export MRL_PUBLISH=127.0.0.1:$PORT
URL=http://127.0.0.1:$PORT
WORK=$(mktemp -d)
export CORPUS=$WORK/corpus
if docker compose version >/dev/null 2>&1; then COMPOSE=(docker compose); else COMPOSE=(docker-compose); fi
compose() { "${COMPOSE[@]}" -f docker/compose.yml "$@"; }
say() { printf '%5ss  %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*"; compose logs --tail 40 serve || true; exit 1; }
finish() {
  compose down --volumes --timeout 5 >/dev/null 2>&1 || true
  rm -rf "$WORK"
}
trap finish EXIT
api() { # METHOD PATH [BODY]: prints the response body; fails unless the status is 2xx
  curl -sS --fail-with-body --max-time 20 -X "$1" "$URL$2" -H "Authorization: Bearer $MRL_API_KEY" \
    -H 'content-type: application/json' ${3:+-d "$3"}
}
field() { python3 -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."): value = value[int(name) if name.isdigit() else name]
print(value)' "$1"; }
until_ready() { for _ in $(seq 300); do curl -fsS "$URL/readyz" >/dev/null 2>&1 && return; sleep 0.2; done; fail "not ready"; }

compose down --volumes >/dev/null 2>&1 || true
before=$SECONDS
# shellcheck disable=SC2086
docker build ${BUILD_FLAGS:-} -f docker/Dockerfile -t "$MRL_IMAGE" . >"$WORK/build.log" 2>&1 || { tail -30 "$WORK/build.log"; exit 1; }
say "image built in $((SECONDS - before)) s, $(docker image inspect -f '{{.Size}}' "$MRL_IMAGE" | awk '{printf "%.0f MB", $1 / 1e6}'):"
docker history --format '{{.Size}}\t{{.CreatedBy}}' "$MRL_IMAGE" | awk '$1 != "0B"' | cut -c1-110

mkdir -p "$CORPUS"
docker run --rm --network none --entrypoint python "$MRL_IMAGE" -c '
import json
from service.demo.docstrings import read_docstrings
for entry in list(read_docstrings())[:4000]:
    print(json.dumps({"_id": entry.name, "title": entry.name, "text": entry.text}))' >"$WORK/all.jsonl"
head -2000 "$WORK/all.jsonl" >"$CORPUS/docstrings.jsonl"
chmod -R a+rX "$WORK"
say "$(wc -l <"$WORK/all.jsonl") docstrings; the first 2000 are the corpus"

compose up -d serve >/dev/null 2>&1 || fail "serve does not start"
sleep 3
[ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/readyz")" = 503 ] || fail "ready without an index"
say "the service waits for an index, unready"
before=$SECONDS
compose run --rm index >"$WORK/index.log" 2>&1 || { tail -20 "$WORK/index.log"; fail "index"; }
until_ready
say "index of 2000 built and taken up in $((SECONDS - before)) s"

found=$(api POST /v1/search '{"query": "open a file and read its lines", "k": 3}')
[ -n "$(field results.0.id <<<"$found")" ] || fail "nothing found"
say "searched: $(field results.0.id <<<"$found")"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "$URL/v1/search")" = 401 ] || fail "answers without a key"

api PUT /v1/documents/upserted '{"text": "a xylophone quartet on the moon", "n": 1}' >/dev/null
compose restart serve >/dev/null 2>&1; until_ready
[ "$(api POST /v1/search '{"query": "xylophone quartet moon", "k": 1}' | field results.0.id)" = upserted ] || fail "the upsert is gone"
say "upserted, restarted, found"

cp "$WORK/all.jsonl" "$CORPUS/docstrings.jsonl"
( failed=0; asked=0
  while [ ! -e "$WORK/stop" ]; do
    api POST /v1/search '{"query": "sort a list", "k": 1}' >/dev/null 2>&1 || failed=$((failed + 1)); asked=$((asked + 1))
  done; echo "$failed $asked" >"$WORK/searches" ) &
compose run --rm index >"$WORK/index2.log" 2>&1 || { tail -20 "$WORK/index2.log"; fail "second index"; }
for _ in $(seq 100); do [ "$(api GET /v1/index | field generation)" = 000002 ] && break; sleep 0.1; done
[ "$(api GET /v1/index | field generation)" = 000002 ] || fail "the second generation is not served"
touch "$WORK/stop"; wait
read -r failed asked <"$WORK/searches"
[ "$failed" = 0 ] || fail "$failed of $asked searches failed while the generation changed"
say "second generation served: $(api GET /v1/index | field documents) documents, 0 of $asked searches failed meanwhile"

( for number in $(seq 100000); do
    api PUT "/v1/documents/k$number" "{\"text\": \"note number $number\"}" >/dev/null 2>&1 && echo "$number" >>"$WORK/acknowledged" || exit 0
  done ) &
sleep 4
docker kill --signal KILL "$(compose ps -q serve)" >/dev/null
wait
compose up -d serve >/dev/null 2>&1; until_ready
lost=0
while read -r number; do api GET "/v1/documents/k$number" >/dev/null 2>&1 || lost=$((lost + 1)); done <"$WORK/acknowledged"
[ "$lost" = 0 ] || fail "$lost acknowledged documents lost"
say "killed -9 while upserting: $(wc -l <"$WORK/acknowledged") acknowledged, 0 lost"

before=$(date +%s%N)
compose stop serve >/dev/null 2>&1
say "stopped in $((($(date +%s%N) - before) / 1000000)) ms"
compose run --rm --entrypoint mrl index index verify /data/index >"$WORK/verify.log" 2>&1 || { cat "$WORK/verify.log"; fail "verify"; }
say "verified: $(tail -1 "$WORK/verify.log")"
say "all passed"
