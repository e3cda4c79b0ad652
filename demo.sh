#!/bin/bash
# The whole loop on this machine: a node with the demonstration model, a small PACS (Orthanc) beside it, one synthetic
# study sent through. Installs what is missing, builds, stops everything it started. Ends with "demo: ok".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

keep=no
for argument in "$@"; do
    case "$argument" in
        --keep) keep=yes ;;
        --help | -h) echo "usage: ./demo.sh [--keep]   --keep leaves node and PACS running and prints their ports"; exit 0 ;;
        *) echo "demo: unknown argument $argument; see ./demo.sh --help" >&2; exit 2 ;;
    esac
done

.ci/setup.sh
echo "demo: building"
work=$(mktemp -d "${TMPDIR:-/tmp}/scopenode-demo.XXXXXX")
node_pid="" pacs_pid=""
ended() {
    status=$?
    trap - EXIT
    if [ "$keep" = yes ] && [ $status -eq 0 ]; then exit 0; fi
    for pid in $node_pid $pacs_pid; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in $node_pid $pacs_pid; do wait "$pid" 2>/dev/null || true; done
    if [ $status -ne 0 ]; then
        echo "demo: failed; what node and PACS said:" >&2
        tail -n 20 "$work"/*.log >&2 2>/dev/null || true
    fi
    rm -rf "$work"
    exit $status
}
trap ended EXIT
trap 'exit 130' INT TERM

cmake --preset release >"$work/configure.log" 2>&1 </dev/null || { cat "$work/configure.log" >&2; exit 1; }
cmake --build --preset release --target scopenode -j "$(nproc)" </dev/null
rm -f "$work/configure.log"
program=$PWD/build/release/bin/scopenode

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# await SECONDS WHAT COMMAND...: until the command succeeds; fails early when node or PACS has ended.
await() {
    local seconds=$1 what=$2 start=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        for pid in $pacs_pid $node_pid; do
            kill -0 "$pid" 2>/dev/null || { echo "demo: a program ended while waiting for $what" >&2; exit 1; }
        done
        [ $((SECONDS - start)) -lt "$seconds" ] || { echo "demo: no $what after $seconds s" >&2; exit 1; }
        sleep 0.2
    done
}
pacs() { curl --silent --show-error --fail --noproxy '*' "http://127.0.0.1:$pacs_http$1" "${@:2}"; }

echo "demo: starting the PACS (Orthanc)"
pacs_dicom=$(free_port)
pacs_http=$(free_port)
cat >"$work/orthanc.json" <<JSON
{"Name": "Small PACS", "StorageDirectory": "$work/pacs", "IndexDirectory": "$work/pacs", "DicomAet": "PACS",
 "DicomPort": $pacs_dicom, "HttpPort": $pacs_http, "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "Plugins": []}
JSON
orthanc=$(PATH=$PATH:/usr/sbin command -v Orthanc)
"$orthanc" "$work/orthanc.json" >"$work/pacs.log" 2>&1 </dev/null &
pacs_pid=$!
await 120 "PACS" pacs /system

echo "demo: starting the node"
"$program" init "$work/node" --dimse-port 0 --http-port 0 --quiet 2 --destination "PACS=PACS@127.0.0.1:$pacs_dicom"
"$program" serve "$work/node" >"$work/node.log" 2>&1 </dev/null &
node_pid=$!
await 120 "node" test -s "$work/node/run/ready.json"
port_of() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/node/run/ready.json" "$1"; }
node_dicom=$(port_of dimse_port)
node_http=$(port_of http_port)
echo "demo: node on DICOM port $node_dicom, HTTP port $node_http; PACS on DICOM port $pacs_dicom, HTTP port $pacs_http"

echo "demo: making a synthetic head CT and sending it"
"$program" phantom "$work/phantom" --studies 1 --slices 24 --seed 7 --positive-rate 1
"$program" send "SCOPENODE@127.0.0.1:$node_dicom" "$work"/phantom/*/
sent=$SECONDS

echo "demo: waiting for the report"
reports() { pacs /tools/find --data '{"Level": "Instance", "Query": {"Modality": "SR"}}'; }
# What Orthanc's Modality query sees is the series' own value.
report_came() { reports | grep -q '[0-9a-f]'; }
said=""
for _ in $(seq 1500); do
    report_came && break
    kill -0 "$node_pid" 2>/dev/null || { echo "demo: the node ended" >&2; exit 1; }
    state=$("$program" studies list --node "$work/node" | tail -n 1)
    [ "$state" = "$said" ] || echo "demo:   $state"
    said=$state
    sleep 0.2
done
report_came || { echo "demo: no report came" >&2; exit 1; }
echo "demo: the report is in the PACS, $((SECONDS - sent)) s after the last slice (of it 2 s quiet time)"

# Pictures and key objects follow the report.
for _ in $(seq 300); do
    "$program" outbox list --node "$work/node" | grep -q waiting || break
    sleep 0.2
done

results=$PWD/build/demo
rm -rf "$results"
mkdir -p "$results"
for kind in SR:report OT:overlay KO:key_objects; do
    pacs /tools/find --data "{\"Level\": \"Instance\", \"Query\": {\"Modality\": \"${kind%%:*}\"}}" |
        python3 -c 'import json, sys; print("\n".join(json.load(sys.stdin)))' | while read -r id; do
        [ -z "$id" ] || pacs "/instances/$id/file" --output "$results/${kind##*:}-$id.dcm"
    done
done
for file in "$results"/report-*.dcm; do
    echo "----------------------------------------"
    "$program" report read "$file"
    echo "----------------------------------------"
done
echo "demo: result objects that came back:"
ls -1 "$results"/*.dcm

if [ "$keep" = yes ]; then
    echo "demo: left running: node pid $node_pid, folder $work/node, DICOM port $node_dicom (AE SCOPENODE), HTTP http://127.0.0.1:$node_http/metrics"
    echo "demo:               PACS pid $pacs_pid, DICOM port $pacs_dicom (AE PACS), HTTP http://127.0.0.1:$pacs_http"
    echo "demo: end them by: kill $node_pid $pacs_pid; rm -r $work"
else
    kill -TERM "$node_pid"
    wait "$node_pid"
    node_pid=""
    kill -TERM "$pacs_pid"
    wait "$pacs_pid" || true
    pacs_pid=""
fi
echo "demo: ok"
