#!/bin/bash
# usage: tests/bench/hook.sh [ROUNDS]
# Measures `divvy-hook create-container` for a container with one GPU beside plain `ldconfig -r`, in the
# same run; with PEER_BIN=dir also the seven hooks of the nvidia-cdi-hook there, which do the same work.
# The container is fresh each time: no link, no cache, no auxiliary cache. DIVVY_HOOK names another hook.
set -eu
. "$(dirname "$0")/../../tools/lib.sh"
rounds=${1:-200}
hook=${DIVVY_HOOK:-$DIST/divvy-hook}

# Inside a mount namespace of its own, on tmpfs: a disk's fsync would be all that one sees.
if [ "${HOOK_BENCH_INSIDE:-}" != 1 ]; then
  need_root
  [ -x "$hook" ] || die "no $hook: run make build"
  HOOK_BENCH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

work=$(mktemp -d)
trap 'umount -l "$work"; rmdir "$work"' EXIT
mount -t tmpfs tmpfs "$work"
root=$work/rootfs libraries=/usr/lib/$ARCH-linux-gnu version=550.163.01
mkdir -p "$root"/{proc,dev,run,tmp,usr/local,etc/ld.so.conf.d,var/cache/ldconfig} "$root$libraries" "$work/bundle"
ln -s usr/lib "$root/lib"
printf 'include /etc/ld.so.conf.d/*.conf\n' >"$root/etc/ld.so.conf"
printf '/usr/local/lib\n/lib/%s-linux-gnu\n%s\n' "$ARCH" "$libraries" >"$root/etc/ld.so.conf.d/$ARCH.conf"
# An image of a hundred of this machine's own small libraries, with their links.
find "$libraries" -maxdepth 1 -name 'lib*.so.*' -type f -size -1024k | sort | head -n 100 | while read -r file; do
  cp "$file" "$root$libraries/"
  /sbin/ldconfig -n "$root$libraries"
done

jobs=() links=()
link() { jobs+=("--link=$1::$2") links+=(--link "$1::$2"); }
for name in EGL_nvidia GLESv1_CM_nvidia GLESv2_nvidia GLX_nvidia cuda cudadebugger nvcuvid nvidia-allocator \
  nvidia-cfg nvidia-encode nvidia-fbc nvidia-ml nvidia-ngx nvidia-nvvm nvidia-opencl nvidia-opticalflow \
  nvidia-ptxjitcompiler nvoptix; do
  file=lib$name.so.$version
  printf 'int divvy;' | cc -shared -nostdlib "-Wl,-soname,lib$name.so.1" -x c - -o "$root$libraries/$file"
  link "$file" "$libraries/lib$name.so.1"
  case $name in nv* | cuda) link "lib$name.so.1" "$libraries/lib$name.so" ;; esac
done
mkdir -p "$root$libraries/vdpau" "$root$libraries/nvidia"

mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
mknod "$root/dev/nvidia0" c 195 0
mkdir "$root/dev/dri"
mknod "$root/dev/dri/card1" c 226 1
printf '{"root":{"path":"%s"}}' "$root" >"$work/bundle/config.json"
printf '{"ociVersion":"1.0.2","id":"c","status":"creating","pid":1,"bundle":"%s"}' "$work/bundle" >"$work/state"
node=../card1::/dev/dri/by-path/pci-0000:1a:00.0-card
static=("${jobs[@]}" "--device-link=$node" --hide-device-node-params --application-profile)
cache=("--folder=$libraries" "--folder=$libraries/vdpau" "--cuda-compat=$version")

cc -O2 -o "$work/measure" "$(dirname "$0")/measure.c"
fresh="cd $root && rm -rf etc/ld.so.cache etc/ld.so.conf.d/*-nvcr-* etc/nvidia var/cache/ldconfig/* dev/dri/by-path run/* &&
  find .$libraries -name 'lib*nv*.so*' -type l -delete && find .$libraries -name 'libcuda*.so*' -type l -delete"
state=$work/state
cases=(-- hook "$state" "$hook" create-container "${static[@]}" "${cache[@]}"
  -- ldconfig /dev/null /sbin/ldconfig -r "$root"
  -- hook-without-cache "$state" "$hook" create-container "${static[@]}"
  -- start "$state" "$hook" --version)
if [ -n "${PEER_BIN:-}" ]; then
  peer=$PEER_BIN/nvidia-cdi-hook
  [ -x "$peer" ] || die "PEER_BIN has no nvidia-cdi-hook: $peer"
  cases+=(-- peer "$state" "$peer" create-symlinks --link "../libnvidia-allocator.so.1::$libraries/gbm/nvidia-drm_gbm.so"
    -- peer "$state" "$peer" create-symlinks "${links[@]}"
    -- peer "$state" "$peer" enable-cuda-compat "--host-driver-version=$version"
    -- peer "$state" "$peer" update-ldcache --folder "$libraries" --folder "$libraries/vdpau"
    -- peer "$state" "$peer" disable-device-node-modification
    -- peer "$state" "$peer" update-application-profile
    -- peer "$state" "$peer" create-symlinks --link "$node")
fi

"$work/measure" "$rounds" "$fresh" "${cases[@]}" | awk -v size="$(stat -c %s "$hook")" '
  { wall[$1] += $2; least[$1] += $3; cpu[$1] += $4; if ($5 > rss[$1]) rss[$1] = $5; runs[$1]++ }
  function row(name, text) {
    if (runs[name]) printf "%-34s %8.2f %8.2f %8.2f %8d\n", text, wall[name] / 1000, least[name] / 1000, cpu[name] / 1000, rss[name] }
  END {
    printf "%-34s %8s %8s %8s %8s\n", "", "ms", "least", "CPU ms", "KiB"
    row("hook", "divvy-hook create-container"); row("ldconfig", "ldconfig -r alone")
    row("hook-without-cache", "divvy-hook without the cache"); row("start", "divvy-hook --version")
    row("peer", "nvidia-cdi-hook, " runs["peer"] " hooks")
    printf "over ldconfig: %.2f ms (CPU %.2f ms), to reach: 1.5 ms\n", (wall["hook"] - wall["ldconfig"]) / 1000, (cpu["hook"] - cpu["ldconfig"]) / 1000
    printf "resident: %d KiB of 3072; on disk: %d KiB of 1024\n", rss["hook"], size / 1024
    if (runs["peer"]) printf "of nvidia-cdi-hook: wall 1/%.1f, CPU 1/%.1f, to reach: 1/15\n", wall["peer"] / wall["hook"], cpu["peer"] / cpu["hook"]
    else print "nvidia-cdi-hook: not given (PEER_BIN), not compared"
  }'
