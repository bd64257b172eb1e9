# The inner half of tests/e2e/bed: started as the first process of the new namespaces.
# shellcheck shell=bash
set -eu
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
NEW=$BED_WORK/root

# A private /dev: what is made in it never shows on the machine.
make_dev() {
  local dev=$1 node
  mount -t tmpfs -o mode=755 tmpfs "$dev"
  mkdir -p "$dev"/{pts,shm,mqueue,net}
  for node in null zero full random urandom tty fuse net/tun; do
    [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$dev/$node"
  done
  if [ "$BED_REAL" = 1 ]; then cp -a /dev/nvidia* /dev/dri "$dev/" 2>/dev/null || true; fi
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$dev/shm"
  mount -t mqueue mqueue "$dev/mqueue"
  ln -s pts/ptmx "$dev/ptmx"
  ln -s /proc/self/fd "$dev/fd"
  ln -s fd/0 "$dev/stdin"
  ln -s fd/1 "$dev/stdout"
  ln -s fd/2 "$dev/stderr"
}

overlay() { # overlay LOWER TARGET NAME
  mkdir -p "$BED_WORK/$3/up" "$BED_WORK/$3/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$BED_WORK/$3/up,workdir=$BED_WORK/$3/work" overlay "$2"
}

make_root() {
  mount -t tmpfs -o mode=755 tmpfs "$BED_WORK"
  mkdir "$NEW"
  if [ "$BED_BASE" = / ]; then
    # The machine's own mounts lie in it, so it can't be one overlay: what engines write to is covered.
    mount --rbind / "$NEW"
    mount --make-rprivate "$NEW"
    overlay /etc "$NEW/etc" etc
    overlay /var/lib "$NEW/var/lib" lib
    umount -R -l "$NEW/dev" "$NEW/proc" "$NEW/sys" 2>/dev/null || true
  else
    overlay "$BED_BASE" "$NEW" base
    mkdir -p "$NEW"/{dev,proc,sys,run,tmp}
  fi
  make_dev "$NEW/dev"
  mount -t proc proc "$NEW/proc"
  mount -t sysfs -o ro sysfs "$NEW/sys"
  mount -t tmpfs -o mode=755 tmpfs "$NEW/run"
  mount -t tmpfs -o mode=1777 tmpfs "$NEW/tmp"
  # An overlay can't be the upper layer of another: engines keep their layers on tmpfs.
  for dir in containers docker containerd; do
    mkdir -p "$NEW/var/lib/$dir"
    mount -t tmpfs -o mode=711 tmpfs "$NEW/var/lib/$dir"
  done
}

# Puts DIR at the same path inside, read-only.
show() {
  mkdir -p "$NEW$1"
  mount --bind "$1" "$NEW$1"
  mount -o remount,bind,ro "$NEW$1"
}

make_cgroups() {
  local point names dir
  mount -t tmpfs -o mode=755 tmpfs "$NEW/sys/fs/cgroup"
  while read -r point names; do
    if [ "$BED_LAYOUT" = v2 ]; then
      umount "$NEW/sys/fs/cgroup"
      mount -t cgroup2 none "$NEW/sys/fs/cgroup"
      hand_down "$NEW/sys/fs/cgroup"
    else
      dir=$NEW/sys/fs/cgroup/$(basename "$point")
      mkdir -p "$dir"
      mount -t cgroup -o "$names" none "$dir"
    fi
  done <<<"$BED_HIERARCHIES"
}

# cgroup v2 gives controllers only to the children of a cgroup that has no process itself.
hand_down() {
  local controller
  mkdir -p "$1/init"
  echo 0 >"$1/init/cgroup.procs"
  # One by one: a controller that can't be had keeps none of the others.
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
  done
}

# What podman needs of its configuration on a machine that may lack CAP_SYS_RESOURCE and controllers.
configure_podman() {
  local files
  files=$(ulimit -Hn)
  [ "$files" != unlimited ] || files=1048576
  mkdir -p "$NEW/etc/containers"
  cat >"$NEW/etc/containers/containers.conf" <<EOF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=10000:10000"]
netns = "none"
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
  printf '[storage]\ndriver = "overlay"\ngraphroot = "/var/lib/containers/storage"\nrunroot = "/run/containers/storage"\n' \
    >"$NEW/etc/containers/storage.conf"
  printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$NEW/etc/containers/policy.json"
}

enter() {
  local point names
  while read -r point names; do echo 0 >"$point/$BED_NAME/cgroup.procs"; done <<<"$BED_HIERARCHIES"
  exec unshare --cgroup bash "${BASH_SOURCE[0]}" furnish "$@"
}

furnish() {
  make_root
  show "$ROOT"
  show "$CACHE"
  [ -z "$BED_SHARE" ] || { mkdir -p "$NEW/bed" && mount --bind "$BED_SHARE" "$NEW/bed"; }
  make_cgroups
  configure_podman
  hostname bed
  cd "$NEW"
  mkdir -p .outside
  pivot_root . .outside
  cd /
  umount -l /.outside
  rmdir /.outside 2>/dev/null || true
  ip link set lo up 2>/dev/null || true
  exec env -i PATH="$DIST:$ROOT/target/debug:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    HOME=/root LANG=C.UTF-8 PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
    DIVVY_REPOSITORY="$ROOT" DIVVY_TEST_CACHE="$CACHE" IMAGES="$CACHE/images" \
    bash -c '"$@"' bed "$@"
}

"$@"
