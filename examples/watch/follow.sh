#!/bin/bash
# Follow a stack with curl: print a line for every change, and keep a copy of its facts.
#
#     follow.sh STACK_URL FILE
#
# FILE contains {"cursor": ..., "facts": {path: value}}. If it exists, the script continues from there.
# TOKEN_FROM is a command that prints a token, such as 'factstore token'; it runs for each connection.
# Requires bash 4.4, curl and jq.
set -eu

stack=$1
file=$2
retry=1000      # milliseconds before the next connection; the service can change it
failures=0      # consecutive connections without a frame
silence=45      # seconds; the service sends something every 15

connect() {
    # Print the stream, and as its last line the status of the response.
    local token
    token=$(${TOKEN_FROM:-true})
    # The headers are sent through a pipe, so that the list of processes does not show the token. curl omits
    # headers without a value. Last-Event-ID takes precedence over initial.
    exec curl -sS -N -f -H @- -w 'status: %{http_code}\n' "$stack/events?initial=true" <<END
Accept: text/event-stream
Last-Event-ID: $cursor
X-Auth-Token: $token
END
}

keep() {
    # Replace the copy by the output of jq: cursor and facts in one step.
    jq -c -s --arg cursor "$id" --slurpfile copy "$file" "{cursor: \$cursor, facts: ($1)}" \
        >"$file.new"
    mv "$file.new" "$file"
}

take() {
    # Process one frame of the stream. Ignore unknown frames.
    local lines
    case $event in
        change)
            lines=$(jq -r '.cursor as $cursor | .changes[] | [$cursor, .type, .path // empty,
                (.fact | if . then .value | tojson else empty end)] | join(" ")' <<<"$data")
            echo "$lines"
            keep 'reduce .[0].changes[] as $change ($copy[0].facts;
                if $change.type == "stack.delete" then {}
                elif $change.fact then .[$change.path] = $change.fact.value
                else del(.[$change.path]) end)' <<<"$data"
            if [[ $lines == *"$id stack.delete" ]]; then
                exit 0
            fi
            ;;
        reset)
            echo "reset: $(jq -r .detail <<<"$data")"
            listing=yes snapshot=''
            ;;
        snapshot)
            snapshot+=$data
            ;;
        bookmark)
            if [ -n "$listing" ]; then
                # Now the snapshot is complete. Without facts it has no frames.
                keep '[.[].facts[] | {key: .path, value}] | from_entries' <<<"$snapshot"
                echo "$id snapshot facts: $(jq '.facts | length' "$file")"
                listing='' snapshot=''
            else
                keep '$copy[0].facts' <<<''
            fi
            ;;
    esac
}

if [ ! -s "$file" ]; then
    echo '{"cursor": null, "facts": {}}' >"$file"
fi
while true; do
    cursor=$(jq -r '.cursor // empty' "$file")
    listing=''
    if [ -z "$cursor" ]; then
        listing=yes # a snapshot comes first
    fi
    snapshot='' status='' id='' event='' data=''
    exec 3< <(connect)
    connection=$!
    while IFS= read -r -t "$silence" -u 3 line; do
        case $line in
            'id: '*) id=${line#*: } ;;
            'event: '*) event=${line#*: } ;;
            'data: '*) data+=${line#*: } ;; # a large event has several lines
            'retry: '*) retry=${line#*: } ;;
            'status: '*) status=${line#*: } ;;
            '')
                take
                event='' data='' failures=0
                ;;
        esac
    done
    kill "$connection" 2>/dev/null || true
    exec 3<&-
    case $status in
        400|401|403|404|406)
            echo "$stack: HTTP $status" >&2
            exit 1
            ;;
    esac
    # Longer after each failure, and not all clients at the same moment.
    pause=$(((retry << (failures < 5 ? failures : 5)) + RANDOM % 500))
    failures=$((failures + 1))
    sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
done
