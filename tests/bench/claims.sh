#!/bin/bash
# usage: tests/bench/claims.sh [ROUNDS]
# Measures `divvy prepare` and `divvy release` on simulated nodes, whose driver answers at once and whose files
# are on tmpfs as /run is: for each mode, with more and more live claims on the same GPU and on another, and how
# many more claims eight GPUs take than one when making a MIG device takes 200 ms. DIVVY names another divvy.
set -eu
. "$(dirname "$0")/../../tools/lib.sh" # ROOT, DIST, die
rounds=${1:-50}
divvy=${DIVVY:-$DIST/divvy}

if [ "${CLAIMS_BENCH_INSIDE:-}" != 1 ]; then
  need_root
  [ -x "$divvy" ] || die "no $divvy: run make build"
  (cd "$ROOT" && cargo build --quiet --release --locked --package fake-nvml)
  CLAIMS_BENCH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

work=$(mktemp -d)
trap 'umount -l "$work"; rmdir "$work"' EXIT
mount -t tmpfs tmpfs "$work"
cc -O2 -o "$work/measure" "$(dirname "$0")/measure.c"
fake=$ROOT/target/release/fake-node

# enter NAME [ARGUMENT...]: a managed node; the commands after this see it.
enter() {
  "$fake" create "$work/$1" --managed "${@:2}" >"$work/$1.env"
  # shellcheck source=/dev/null
  . "$work/$1.env"
  export "${!DIVVY_@}"
  printf 'gpus: [{match: "*", managed: true, replicas: 1000, mig-mode: enable, compute-mode: exclusive}]\n' >"$DIVVY_CONFIG"
}

# row TEXT REQUEST: one claim made and taken back, again and again.
row() {
  "$work/measure" "$rounds" true \
    -- prepare /dev/null "$divvy" prepare --claim bench "$2" \
    -- release /dev/null "$divvy" release bench |
    awk -v text="$1" '{ wall[$1] = $2; least[$1] = $3; cpu[$1] = $4; rss = $5 > rss ? $5 : rss }
      END { printf "%-46s %8.2f %8.2f %8.2f %8.2f %8d\n", text, wall["prepare"] / 1000, least["prepare"] / 1000, wall["release"] / 1000, least["release"] / 1000, rss }'
}

# live COUNT GPU: so many claims take turns on a GPU, their container's starting process alive.
live() {
  for n in $(seq "$1"); do "$divvy" prepare --start-process $$ --claim "live-$2-$n" "time-slicing @$2" >/dev/null; done
}

printf '%-46s %8s %8s %8s %8s %8s\n' "" "prepare" "least" "release" "least" "KiB"
enter modes --gpu H100-80GB:8 --mig on
"$fake" mig "$work/modes" 6 off
"$fake" mig "$work/modes" 7 off
printf '%-46s ' "one NVML session, and a plan (of both)"
"$work/measure" "$rounds" true -- plan /dev/null "$divvy" plan mig:1g.10gb |
  awk '{ printf "%8.2f %8.2f\n", $2 / 1000, $3 / 1000 }'
row "exclusive" "exclusive @7"
row "time-slicing" "time-slicing @7"
row "time-slicing, an interval" "time-slicing:interval=short @7"
row "mig:1g.10gb" mig:1g.10gb
row "mig:1g.10gb, pinned" "mig:1g.10gb @3"
row "mig:3g.40gb/time-slicing" mig:3g.40gb/time-slicing
row "7x mig:1g.10gb" "7x mig:1g.10gb"
echo "to reach: at most 5 ms each, the driver's own time not counted"

enter growth --gpu T4:2
echo
row "no live claim" "time-slicing @0"
live 50 1
row "50 live claims on another GPU" "time-slicing @0"
live 50 0
row "and 50 on the same" "time-slicing @0"
echo "to reach: at most 5 ms (100 us each) more with 50 on the same GPU, and nothing with those on the other"

# throughput GPUS WORKERS: claims made and taken back a second by so many workers, spread over so many GPUs.
throughput() {
  local start=$EPOCHREALTIME workers=()
  for worker in $(seq "$2"); do
    for n in 1 2 3 4 5; do
      "$divvy" prepare --claim "w$worker-$n" "mig:1g.10gb @$((worker % $1))" >/dev/null
      "$divvy" release "w$worker-$n" >/dev/null
    done &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do wait "$worker"; done
  awk -v n="$2" -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", 5 * n / (b - a) }'
}
{
  printf 'nvml: {create-ms: 200}\ngpus:\n'
  for n in 0 1 2 3 4 5 6 7; do printf -- '- {board: H100-80GB, mig: true, minor: %d, uuid: GPU-0%d000100-0000-0000-0000-000000000000, pci: "0000:%d0:00.0"}\n' "$n" "$n" "$n"; done
} >"$work/slow.yaml"
enter slow --from "$work/slow.yaml"
# Seven of them at most stand on one GPU.
one=$(throughput 1 7) all=$(throughput 8 8)
echo
awk -v one="$one" -v all="$all" 'BEGIN { printf "MIG devices that take 200 ms, %.2f a second on one GPU, %.2f on eight: %.1f times\n", one, all, all / one }'
