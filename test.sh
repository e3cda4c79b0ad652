#!/bin/bash
# Installs what is missing, builds, runs all tests; ends with the runner's own summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'USAGE'
usage: ./test.sh [--long] [--asan | --tsan] [--bench] [--fuzz SECONDS]
  --long          full counts: 50 rounds of each kill loop
  --asan, --tsan  unit and integration tests under the sanitizers
  --bench         the measurements (`scopenode bench`), instead of the tests
  --fuzz SECONDS  each fuzzer for so long, instead of the tests; installs clang when it is missing
SCOPENODE_SEED sets the seed of the kill loops; they print it.
USAGE
}

preset=release
bench=no
fuzz=0
while [ $# -gt 0 ]; do
    case "$1" in
        --long) export SCOPENODE_LONG=1 ;;
        --asan) preset=asan ;;
        --tsan) preset=tsan ;;
        --bench) bench=yes ;;
        --fuzz)
            [[ "${2:-}" =~ ^[1-9][0-9]{0,5}$ ]] || { echo "test.sh: --fuzz needs seconds" >&2; exit 2; }
            fuzz=$2 preset=fuzz
            shift ;;
        --help | -h) usage; exit 0 ;;
        *) echo "test.sh: unknown argument $1; see ./test.sh --help" >&2; exit 2 ;;
    esac
    shift
done

.ci/setup.sh
[ "$fuzz" -eq 0 ] || .ci/setup.sh packages-fuzz.txt
cores=$(nproc)
echo "test.sh: building ($preset, $cores cores)"
configured=$(mktemp)
trap 'rm -f "$configured"' EXIT
cmake --preset "$preset" >"$configured" 2>&1 </dev/null || { cat "$configured" >&2; exit 1; }
cmake --build --preset "$preset" -j "$cores" </dev/null

if [ "$fuzz" -gt 0 ]; then
    # New inputs stay in build/fuzz/corpus; what breaks a fuzzer is kept in build/fuzz/finds and named.
    export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
    mkdir -p build/fuzz/finds
    build/fuzz/tests/fuzz/make_seeds build/fuzz/seeds
    failed=()
    ran=0
    for fuzzer in build/fuzz/fuzzers/*_fuzz; do
        name=$(basename "$fuzzer")
        mkdir -p "build/fuzz/corpus/$name"
        echo "test.sh: $name for $fuzz s"
        ran=$((ran + 1))
        "$fuzzer" -max_total_time="$fuzz" -max_len=65536 -rss_limit_mb=4096 -timeout=30 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/finds/$name-" "build/fuzz/corpus/$name" "build/fuzz/seeds/$name" \
            >"build/fuzz/$name.log" 2>&1 </dev/null || { failed+=("$name"); tail -60 "build/fuzz/$name.log" >&2; }
        grep -E "^(Done|keras_h5:|stat::(number_of_executed|peak_rss))" "build/fuzz/$name.log" || true
    done
    echo "test.sh: $ran fuzzers, ${#failed[@]} failed${failed[*]:+: ${failed[*]} (build/fuzz/finds)}"
    [ ${#failed[@]} -eq 0 ] && exit 0
    exit 1
fi

if [ "$bench" = yes ]; then
    "build/$preset/bin/scopenode" bench receive
    "build/$preset/bin/scopenode" bench report
    exit 0
fi

if [ "$preset" = asan ]; then
    # LibTorch and OpenBLAS keep what they allocated once.
    export ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1"
fi
if [ "$preset" = tsan ]; then
    # Threads of libraries that are not instrumented are false alarms.
    export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
    export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp:second_deadlock_stack=1:${TSAN_OPTIONS:-}"
fi
# A slow machine that is shared with others may miss a deadline once; what fails twice is a fault.
again=()
if [ "${CI:-}" = true ]; then
    again=(--repeat until-pass:2)
    echo "test.sh: CI: a test that fails is run once more"
fi
status=0
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$cores" "${again[@]}" </dev/null || status=$?
exit $status
