#!/bin/bash
# Builds ml/ alone (SCOPENODE_ML_ONLY), runs its tests and measures, on a host with LibTorch (or PyTorch) and no DICOM
# libraries; writes what it measured as JSON lines into OUT.
#
# usage: tests/bench/ml_only.sh [--torch FOLDER] [--headers FOLDER] [--out FOLDER] [--quick]
#   --torch FOLDER    LibTorch, or the `torch` folder of a PyTorch (default: that of python3, else what CMake finds)
#   --headers FOLDER  holds fmt/, nlohmann/, tl/ and doctest/ (default: what CMake finds)
#   --collect FOLDER  only copies these headers from /usr/include into FOLDER, to be carried to such a host
#   --quick           the smallest measurements, to see that everything runs
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

torch="" headers="" out="" quick=no
while [ $# -gt 0 ]; do
    case "$1" in
        --torch) torch=$2; shift ;;
        --headers) headers=$2; shift ;;
        --out) out=$2; shift ;;
        --collect)
            mkdir -p "$2"
            for folder in fmt nlohmann tl doctest; do cp -rL "/usr/include/$folder" "$2/"; done
            exit 0 ;;
        --quick) quick=yes ;;
        *) echo "ml_only.sh: unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "$torch" ]; then
    torch=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null || true)
    [ -d "$torch/share/cmake/Torch" ] || torch=""
fi
build="$root/build/ml-only"
out=${out:-$build/measured}
mkdir -p "$out"
arguments=(-DSCOPENODE_ML_ONLY=ON -DCMAKE_BUILD_TYPE=Release)
[ -z "$torch" ] || arguments+=("-DCMAKE_PREFIX_PATH=$torch")
[ -z "$headers" ] || arguments+=("-DSCOPENODE_HEADERS=$headers")
generator=()
! command -v ninja >/dev/null || generator=(-G Ninja)
cmake -S "$root" -B "$build" "${generator[@]}" "${arguments[@]}" >"$out/configure.log" 2>&1 || { tail -30 "$out/configure.log" >&2; exit 1; }
cmake --build "$build" -j "$(nproc)" >"$out/build.log" 2>&1 || { tail -40 "$out/build.log" >&2; exit 1; }
"$build/tests/unit_ml" --no-colors=true >"$out/tests.log" 2>&1 || { tail -60 "$out/tests.log" >&2; exit 1; }
grep "test cases" "$out/tests.log"

program="$build/bin/scopenode-ml"
gpu=no
! command -v nvidia-smi >/dev/null || { nvidia-smi -L; gpu=yes; }
measure() {
    local name=$1
    shift
    echo "ml_only.sh: $*"
    "$program" "$@" | tee "$out/$name.json"
}
if [ "$quick" = yes ]; then
    measure infer-nano bench infer --preset scopeformer_nano --count 4 --rounds 1
    measure train-nano bench train --preset scopeformer_nano --count 4 --steps 3 --threads 1
    exit 0
fi
batch=8 slices=16 steps=20
[ "$gpu" = no ] || { batch=64; slices=256; }
for preset in efficient_scopeformer scopeformer_l8 deep_scopeformer_l8; do
    measure "infer-$preset" bench infer --preset "$preset" --count "$slices" --batch "$batch" --rounds 5
done
training=(efficient_scopeformer scopeformer_s)
[ "$gpu" = no ] || training=(efficient_scopeformer scopeformer_s scopeformer_b scopeformer_m scopeformer_l4 scopeformer_l8
    scopeformer_l16 deep_scopeformer_l8 deep_scopeformer_tr_l8 scopeformer_2021 scaled_scopeformer_2021)
for preset in "${training[@]}"; do
    measure "train-$preset" bench train --preset "$preset" --count 8 --steps "$steps"
done
