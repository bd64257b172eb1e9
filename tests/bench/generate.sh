#!/bin/bash
# usage: tests/bench/generate.sh [ROUNDS]
# Measures `divvy cdi generate` on simulated nodes, whose NVML answers at once: 8 GPUs, and 8 GPUs with 7 MIG
# devices each. With PEER_BIN=dir also the nvidia-ctk there, in the same run. DIVVY names another divvy.
set -eu
. "$(dirname "$0")/../../tools/lib.sh" # ROOT, DIST, die
rounds=${1:-100}
divvy=${DIVVY:-$DIST/divvy}

# In a mount namespace of its own: nvidia-ctk reads /proc/driver of the machine and no other.
if [ "${GENERATE_BENCH_INSIDE:-}" != 1 ]; then
  need_root
  [ -x "$divvy" ] || die "no $divvy: run make build"
  (cd "$ROOT" && cargo build --quiet --release --locked --package fake-nvml)
  GENERATE_BENCH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

work=$(mktemp -d)
trap 'umount -l "$work"; rmdir "$work"' EXIT
mount -t tmpfs tmpfs "$work"
cc -O2 -o "$work/measure" "$(dirname "$0")/measure.c"
fake=$ROOT/target/release/fake-node

# node NAME [ARGUMENT...]: a node of eight GPUs.
node() {
  "$fake" create "$work/$1" --gpu H100-80GB:8 "${@:2}" >"$work/$1.env"
}
node gpus
node mig --mig on
for gpu in 0 1 2 3 4 5 6 7; do
  "$fake" mig "$work/mig" $gpu create 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb 1g.10gb
done
"$fake" caps "$work/mig"

# measure NAME TEXT PART: TEXT says what is there, PART of nvidia-ctk's time is to be reached.
measure() {
  local text=$2 part=$3 root=$work/$1
  # shellcheck source=/dev/null
  . "$root.env"
  export "${!DIVVY_@}"
  local cases=(-- divvy /dev/null "$divvy" cdi generate --hook-path /bin/true)
  if [ -n "${PEER_BIN:-}" ]; then
    local peer=$PEER_BIN/nvidia-ctk
    [ -x "$peer" ] || die "PEER_BIN has no nvidia-ctk: $peer"
    LD_LIBRARY_PATH=$(dirname "$DIVVY_NVML_LIBRARY")
    export LD_LIBRARY_PATH
    mount --bind "$root/proc/driver" /proc/driver
    cases+=(-- peer /dev/null "$peer" --quiet cdi generate --mode=nvml "--driver-root=$root/driver" "--dev-root=$root")
  fi
  "$work/measure" "$rounds" true "${cases[@]}" | awk -v text="$text" -v part="$part" '
    { wall[$1] = $2; least[$1] = $3; cpu[$1] = $4; rss[$1] = $5 }
    function row(name, program) {
      printf "%-34s %8.2f %8.2f %8.2f %8d\n", program ", " text, wall[name] / 1000, least[name] / 1000, cpu[name] / 1000, rss[name] }
    END {
      row("divvy", "divvy")
      if ("peer" in wall) {
        row("peer", "nvidia-ctk")
        printf "of nvidia-ctk: wall 1/%.1f, CPU 1/%.1f, to reach: 1/%d\n", wall["peer"] / wall["divvy"], cpu["peer"] / cpu["divvy"], part
      }
    }'
  if [ -n "${PEER_BIN:-}" ]; then umount /proc/driver; fi
}

printf '%-34s %8s %8s %8s %8s\n' '' ms least 'CPU ms' KiB
measure gpus '8 GPUs' 10
measure mig '8 GPUs x 7 MIG devices' 20
[ -n "${PEER_BIN:-}" ] || say "nvidia-ctk: not given (PEER_BIN), not compared; recorded elsewhere: 155 ms and 707 ms"
