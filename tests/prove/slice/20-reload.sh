#!/usr/bin/env bash
# A hundred versions replace each other under load and nobody notices; what the server holds ends as it began.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../lib.sh"
seen_file=$(mktemp)
trap 'rm -f "$seen_file"' EXIT
"$here/../../fault/reload.sh" "$BUILD" 100 >"$seen_file"

seen() { sed -n "s/^$1=//p" "$seen_file"; }
command="tests/fault/reload.sh BUILD 100"

row "reload: 100 builds are deployed under wrk -c64" "$command (deployed)" 100 "$(seen deployed)"
row "reload: answers to wrk other than 200" "$command (wrk_bad_status)" 0 "$(seen wrk_bad_status)"
row "reload: connections that wrk lost" "$command (wrk_errors)" none "$(seen wrk_errors)"
within "reload: requests that wrk sent meanwhile" "$command (wrk_requests)" "at least 10000" \
	"$(seen wrk_requests)" ">=" 10000
row "reload: answers of an older build after deploy --wait, other statuses, lost connections" \
	"$command (hammer)" "0 0 0" "$(seen hammer_stale) $(seen hammer_bad_status) $(seen hammer_broken)"
within "reload: requests whose build was compared" "$command (hammer_requests)" "at least 10000" \
	"$(seen hammer_requests)" ">=" 10000
row "reload: workers at the beginning" "$command (workers_before)" 2 "$(seen workers_before)"
row "reload: workers at the end" "$command (workers_after)" 2 "$(seen workers_after)"
files=$(($(seen open_files_after) - $(seen open_files_before)))
row "reload: open files of the core, end minus beginning" "$command (open_files)" 0 "$files"
rss=$(($(seen rss_kib_after) - $(seen rss_kib_before)))
within "reload: memory of the core, end minus beginning, KiB" "$command (rss_kib)" "at most 1024" "${rss#-}" "<=" 1024
