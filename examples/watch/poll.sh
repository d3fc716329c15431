#!/bin/sh
# Follow a stack by polling: print a line for every change, and keep a copy of its facts.
#
#     poll.sh STACK_URL FILE
#
# FILE contains {"cursor": ..., "facts": {path: value}}. If it exists, the script continues from there.
# TOKEN_FROM is a command that prints a token, such as 'factstore token'; it runs for each request.
# Requires a POSIX shell, curl and jq.
set -eu

stack=$1
file=$2
answer=$file.answer
failures=0

get() {
    # Repeat the request until it succeeds, with the body in $answer. Return 1 after a 410.
    while true; do
        token=$(${TOKEN_FROM:-true})
        # The header is sent through a pipe, so that the list of processes does not show the token. A request
        # waits for at most 30 seconds, so one that takes 45 is lost.
        status=$(curl -sS --max-time 45 -o "$answer" -w '%{http_code}' -H @- "$stack/$1" <<END
X-Auth-Token: $token
END
        ) || status=000
        case $status in
            200)
                failures=0
                return 0
                ;;
            410)
                return 1
                ;;
            404)
                echo "$stack: HTTP 404" >&2
                [ -z "$cursor" ] || exit 0 # it was there, and has been deleted since the last request
                exit 1
                ;;
            4[013]*)
                echo "$stack: HTTP $status" >&2
                exit 1
                ;;
        esac
        failures=$((failures < 30 ? failures + 1 : 30))
        sleep "$failures"
    done
}

list() {
    # Read all facts. All pages are of one revision; return 1 if it is compacted before the last page.
    query='limit=1000'
    : >"$file.pages"
    while [ -n "$query" ]; do
        get "facts?$query" || return 1
        cat "$answer" >>"$file.pages"
        query=$(jq -r '.links[] | select(.rel == "next").href | sub("^[^?]*\\?"; "")' "$answer")
    done
    jq -c -s '{cursor: .[0].cursor,
        facts: ([.[].facts[] | {key: .path, value}] | from_entries)}' "$file.pages" >"$file.new"
    mv "$file.new" "$file"
    jq -r '"\(.cursor) snapshot facts: \(.facts | length)"' "$file"
}

[ -s "$file" ] || echo '{"cursor": null, "facts": {}}' >"$file"
while true; do
    cursor=$(jq -r '.cursor // empty' "$file")
    if [ -z "$cursor" ]; then
        list || true
        continue
    fi
    if ! get "events?since=$cursor&wait=30"; then
        echo "reset: the history after $cursor is gone"
        list || true
        continue
    fi
    jq -r '.events[] | .cursor as $cursor | .changes[] | [$cursor, .type, .path // empty,
        (.fact | if . then .value | tojson else empty end)] | join(" ")' "$answer"
    # Cursor and facts in one step.
    jq -c --slurpfile copy "$file" '{cursor: .next, facts: (reduce .events[].changes[] as $change ($copy[0].facts;
        if $change.type == "stack.delete" then {}
        elif $change.fact then .[$change.path] = $change.fact.value
        else del(.[$change.path]) end))}' "$answer" >"$file.new"
    mv "$file.new" "$file"
    if jq -e '[.events[].changes[].type] | any(. == "stack.delete")' "$answer" >/dev/null; then
        exit 0
    fi
done
