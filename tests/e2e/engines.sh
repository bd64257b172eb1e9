# Starts containerd and Docker inside a bed; source it there. Each daemon lives as long as the bed.
# shellcheck shell=bash
HERE=$DIVVY_REPOSITORY/tests/e2e

await() { # await WHAT LOG cmd...: until cmd succeeds, ten seconds at most
  local what=$1 log=$2 try
  shift 2
  for try in $(seq 200); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
  echo "$what doesn't answer after $try tries:" >&2
  tail -n 20 "$log" >&2
  return 1
}

# Where the kernel lacks cgroup controllers or the capability to raise limits, engines ask runtimes for
# what can't be given; a shim in front of them takes that out of the configuration.
lenient_runtimes() {
  local runtime
  for runtime in runc crun; do ln -sf "$HERE/lenient-runtime.py" "/usr/local/bin/$runtime"; done
}
needs_lenience() { [ -e /sys/fs/cgroup/cgroup.controllers ] && ! grep -qw cpu /sys/fs/cgroup/cgroup.controllers; }

containerd_up() {
  ! needs_lenience || lenient_runtimes
  mkdir -p /etc/cdi /etc/containerd /run/containerd /var/log/pods
  case $(containerd --version) in
    *" 1."* | *" v1."*) containerd_config_2 ;;
    *) containerd_config_3 ;;
  esac >/etc/containerd/config.toml
  cat "$@" /dev/null >>/etc/containerd/config.toml
  containerd >/var/log/containerd.log 2>&1 </dev/null &
  await containerd /var/log/containerd.log ctr version || return
  local name
  for name in busybox debian; do
    "$HERE/docker-archive.py" "$IMAGES/$name" "localhost/$name:1" | ctr -n k8s.io images import - >/dev/null || return
  done
}
# Extra tables may be appended: containerd_up FILE...
containerd_config_2() {
  cat <<'EOF'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/busybox:1"
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
  BinaryName = "crun"
EOF
}
containerd_config_3() {
  cat <<'EOF'
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/busybox:1"
[plugins.'io.containerd.cri.v1.runtime']
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun.options]
  BinaryName = "crun"
EOF
}
cri() { "$HERE/cri.py" "$@"; }

# docker_up [JSON]: more of daemon.json, as members of an object without its braces.
docker_up() {
  local files
  ! needs_lenience || lenient_runtimes
  files=$(ulimit -Hn)
  [ "$files" != unlimited ] || files=1048576
  mkdir -p /etc/cdi /etc/docker
  cat >/etc/docker/daemon.json <<EOF
{"features": {"cdi": true}, "cdi-spec-dirs": ["/etc/cdi", "/var/run/cdi"], "iptables": false, "ip6tables": false, "bridge": "none",
 "default-ulimits": {"nofile": {"Name": "nofile", "Hard": $files, "Soft": 1024}},
 "runtimes": {"crun": {"path": "$(command -v crun)"}}${1:+, $1}}
EOF
  dockerd >/var/log/dockerd.log 2>&1 </dev/null &
  await dockerd /var/log/dockerd.log docker version || return
  local name
  for name in busybox debian; do tar -C "$IMAGES/$name" -c . | docker import - "localhost/$name:1" >/dev/null || return; done
}
