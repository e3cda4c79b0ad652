#!/bin/bash
# From the last acknowledged slice to the report in a PACS, at the pace of a slow and of a fast scanner: medians of
# ROUNDS (3) rounds with the demonstration model, 28 slices, and the time of each step from the node's own records.
set -euo pipefail
program=${1:-"$(dirname "${BASH_SOURCE[0]}")/../../build/release/bin/scopenode"}
rounds=${ROUNDS:-3}
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for rate in 2 20; do
    for ((round = 0; round < rounds; ++round)); do
        "$program" bench report --slices 28 --rate "$rate" --json >>"$results"
    done
done
python3 - "$results" <<'PYTHON'
import json, statistics, sys
rounds = [json.loads(line) for line in open(sys.argv[1])]
print("slices/s  report in the PACS  | after the last slice: complete  work begun  report stored  delivered (ms)")
for rate in sorted({r["slices_per_second"] for r in rounds}):
    some = [r for r in rounds if r["slices_per_second"] == rate]
    def middle(pick):
        return statistics.median(pick(r) for r in some)
    steps = [middle(lambda r, s=s: r["ms_after_last_slice"][s])
             for s in ("complete", "work_begun", "report_stored", "report_delivered")]
    print(f"{rate:8.0f}  {middle(lambda r: r['last_slice_to_report_ms']):15.0f} ms  | "
          f"{steps[0]:30.0f}{steps[1]:12.0f}{steps[2]:15.0f}{steps[3]:11.0f}")
PYTHON
