# Engines whose configuration can't be changed.

== no engine
mkdir root
for engine in podman docker containerd crio; do
  printf '%s: ' $engine; divvy runtime configure --root root --runtime $engine
done

== configurations that can't be understood
try() { mkdir -p "root/etc/$2"; printf "$3" >"root/etc/$2/$4"; divvy runtime configure --root root --runtime $1 "${@:5}" 2>&1; }
$ try docker docker '{' daemon.json
$ try docker docker '[]' daemon.json
$ try docker docker '{"runtimes": []}' daemon.json
$ try docker docker '\377' daemon.json
$ try containerd containerd 'x =' config.toml
$ try containerd containerd 'imports = 1\nversion = 2\n' config.toml
$ try containerd containerd '[plugins]\n' config.toml
$ try containerd containerd 'version = 2\nplugins = 1\n' config.toml
$ try containerd containerd 'version = 2\ndisabled_plugins = ["cri"]\n' config.toml
$ try crio crio 'x =' crio.conf
$ rm -r root; try docker docker '{}' daemon.json --set-as-default
$ ln -sf ../../../outside root/etc/docker/daemon.json; touch outside; divvy runtime configure --root root --runtime docker
$ rm root/etc/docker/daemon.json; mkdir root/etc/docker/daemon.json; divvy runtime configure --root root --runtime docker
$ rmdir root/etc/docker/daemon.json; head -c 20M /dev/zero >root/etc/docker/daemon.json; divvy runtime configure --root root --runtime docker

== files of others
mkdir -p root/etc/crio/crio.conf.d root/usr/bin; touch root/usr/bin/divvy-runtime root/usr/bin/divvy-hook
echo other >root/etc/crio/crio.conf.d/99-divvy.conf
$ divvy runtime configure --root root --runtime crio
rm root/etc/crio/crio.conf.d/99-divvy.conf
printf '[crio.runtime]\ndefault_runtime = "x"\n' >root/etc/crio/crio.conf.d/99-other.conf
$ divvy runtime configure --root root --runtime crio --set-as-default
$ divvy runtime configure --root root --runtime crio
$ echo '# changed' >>root/etc/crio/crio.conf.d/99-divvy.conf; divvy runtime configure --root root --runtime crio
$ divvy runtime configure --root root --runtime crio --remove
divvy runtime configure --root root --runtime crio >/dev/null
find root/var -name '*.json' | while read -r record; do echo '{' >"$record"; done
$ divvy runtime configure --root root --runtime crio --remove

== what is read later
mkdir -p root/etc/containerd/conf.d root/usr/bin root/etc/containers/containers.conf.d; touch root/usr/bin/divvy-runtime root/usr/bin/divvy-hook
printf 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n' >root/etc/containerd/config.toml
printf 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndefault_runtime_name = "x"\n' >root/etc/containerd/conf.d/99-other.toml
$ divvy runtime configure --root root --runtime containerd --set-as-default
printf '[engine]\nhooks_dir = ["/x"]\n' >root/etc/containers/containers.conf.d/zz.conf
$ divvy runtime configure --root root --runtime podman --drop-in /etc/containers/containers.conf.d/divvy.conf
$ divvy runtime configure --root root --runtime podman

== podman, as it is meant to be
mkdir -p root/etc/containers root/usr/bin; touch root/usr/bin/divvy-runtime root/usr/bin/divvy-hook
$ divvy runtime configure --root root --runtime podman

== a file that can't be written
mkdir -p root/etc/docker root/usr/bin; touch root/usr/bin/divvy-runtime; echo '{}' >root/etc/docker/daemon.json
$ divvy runtime configure --runtime docker --engine-config /proc/daemon.json 2>&1 | sed 's/divvy-[^.]*\.tmp/divvy-XXXXXX.tmp/'
$ divvy runtime configure --runtime docker --engine-config /dev/null/daemon.json
