# Containers that can't be served, by the hook and by the runtime wrapper.

== the hook's own arguments
namespace
node: --gpu H100-80GB:2 --managed
$ divvy-hook
$ divvy-hook later
$ divvy-hook --help >/dev/full
$ divvy-hook create-runtime
$ divvy-hook create-runtime --request=mpz
$ divvy-hook create-runtime --device=0
$ divvy-hook create-runtime --refused-id=-x
$ divvy-hook create-runtime --refused-id=absent <<<'{"id":"c","bundle":"/b"}'
$ divvy-hook create-container --link=x <<<'{"bundle":"/"}'
$ divvy-hook create-container --folder=usr/lib <<<'{"bundle":"/"}'
$ divvy-hook create-container --cuda-compat=new <<<'{"bundle":"/"}'
$ rm $(dirname $W)/bin/divvy-runtime; divvy-hook poststop </dev/null

== states that are none
namespace
node: --gpu H100-80GB:2 --managed
$ divvy-hook create-container </dev/null
$ divvy-hook create-container <<<'{"bundle":"relative"}'
$ divvy-hook create-container <<<"{\"bundle\":\"$W/bundle\"}"
$ echo '{}' >$W/bundle/config.json; divvy-hook create-container <<<"{\"bundle\":\"$W/bundle\"}"
$ echo '{"root":{"path":"absent"}}' >$W/bundle/config.json; divvy-hook create-container <<<"{\"bundle\":\"$W/bundle\"}"
$ echo '{"root":{"path":"/"}}' >$W/bundle/config.json; divvy-hook create-container <<<"{\"bundle\":\"$W/bundle\"}"
$ rm $W/bundle/config.json; mkfifo $W/bundle/config.json; divvy-hook create-container <<<"{\"bundle\":\"$W/bundle\"}"
$ tr '\0' ' ' </dev/zero | divvy-hook create-container
$ divvy-hook poststop <<<'{"bundle":"relative","id":"c"}'
$ divvy-hook create-runtime --request=mps <<<'{"bundle":"/b/../c","id":"c"}'

== the static work of a container
namespace
node: --gpu H100-80GB:2 --managed
R=$W/bundle/rootfs; mkdir -p $R/{proc,dev,etc,usr/lib,opt}; mount --bind $R $R; mount -t proc proc $R/proc; mount -t tmpfs tmpfs $R/dev
echo '{"root":{"path":"rootfs"}}' >$W/bundle/config.json
run() { divvy-hook create-container "$@" <<<"{\"bundle\":\"$W/bundle\"}"; }
$ run --new-job=1
$ mkdir $R/usr/lib/link; run --link=x::/usr/lib/link
$ ln -s nowhere $R/opt/lib; run --link=x::/opt/lib/link
$ run --folder=/usr/lib --ldconfig=/nonexistent/ldconfig
$ echo '#!/bin/sh' >$W/ldconfig; chmod +x $W/ldconfig; run --folder=/usr/lib --ldconfig=$W/ldconfig
$ mkdir -p $R/usr/local/cuda/compat; touch $R/usr/local/cuda/compat/libcuda.so.{999.1.1,999.2.2}; run --folder=/usr/lib --cuda-compat=550.163.01
$ rm $R/usr/local/cuda/compat/*; echo x >$R/usr/local/cuda/compat/libcuda.so.999.1.1; run --folder=/usr/lib --cuda-compat=550.163.01
$ mknod $R/dev/nvidia64 c 195 64; run --application-profile
mkdir $R/etc/ld.so.conf.d; ln -s loop $R/opt/loop
$ run '--folder=/usr/lib/a folder'
$ mkdir $R/etc/ld.so.conf; run --folder=/usr/lib; rmdir $R/etc/ld.so.conf
$ mount --bind $R/etc $R/etc; mount -o remount,bind,ro $R/etc; run --folder=/usr/lib
$ ln -sfn /proc/1/root $R/opt/host; run --link=x::/opt/host/link

== the runtime wrapper
namespace
node: --gpu H100-80GB:2 --managed
config() { echo "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"annotations\":{$1}${2:+,$2}}" >$W/bundle/config.json; }
create() { divvy-runtime create --bundle $W/bundle c1; }
runtime() { sed -i '/^runtime:/d' $DIVVY_CONFIG; echo "runtime: $1" >>$DIVVY_CONFIG; enter; }
runtime absent
$ config; create
runtime /nonexistent/runc
$ create
$ touch $W/runc; runtime $W/runc; create
runtime /bin/true
$ config '"divvy.request":"exclusive @7"'; create
$ config '"divvy.request":"mpz"'; create
$ config '"divvy.request":1'; create
$ config '"divvy.request":"exclusive"' '"linux":{"uidMappings":[{"hostID":99999999999,"containerID":0,"size":1}]}'; create
$ config '"divvy.request":"exclusive","divvy.claim":"-x"'; create
$ config '"divvy.request":"exclusive","divvy.request":"mps"'; create
$ echo '{"annotations":{"divvy.request":"mps"' >$W/bundle/config.json; create
$ config "\"divvy.request\":\"$(printf 'mig:1g.10gb;%.0s' {1..2000})\""; create
$ config "\"divvy.request\":\"$(printf 'x%.0s' {1..100000})\""; create
$ config '' "\"hooks\":{\"createRuntime\":[{\"path\":\"$(dirname $W)/bin/divvy-hook\",\"args\":[\"divvy-hook\",\"create-runtime\",\"--request=mpz\"]}]}"; create
$ config '' "\"hooks\":{\"createRuntime\":[{\"path\":\"$(dirname $W)/bin/divvy-hook\",\"args\":[\"divvy-hook\",\"create-runtime\",\"x\",\"y\"]}]}"; create
pod='"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"main"'
$ config "$pod,\"divvy.request/main\":\"exclusive\""; create
$ echo 'requests: {from-pod-annotations: true}' >>$DIVVY_CONFIG; enter; config "$pod,\"divvy.request\":\"exclusive\""; create
$ config '"divvy.request":"exclusive"'; printf '#!/bin/sh\nexit 1\n' >$W/divvy; chmod +x $W/divvy; mv -f $W/divvy $(dirname $W)/bin/divvy; create
$ printf '#!/bin/sh\n' >$(dirname $W)/bin/divvy; create
$ printf '#!/bin/sh\n[ $1 = release ] && exit 1; printf %%s '"'{\"claim\":\"job\",\"devices\":[],\"edits\":{\"deviceNodes\":[{\"path\":\"/dev/none\"}]}}'" >$(dirname $W)/bin/divvy; create
$ rm $(dirname $W)/bin/divvy; create
$ truncate -s 100M $W/bundle/config.json; create
$ rm $W/bundle/config.json; mkfifo $W/bundle/config.json; create
$ rm $W/bundle/config.json; config '"divvy.request":"exclusive"'; echo nonsense >/etc/divvy/config.yaml; create
$ divvy-hook precreate <$W/bundle/config.json | grep -o refused-id
$ mount -t tmpfs -o ro tmpfs /run; divvy-hook precreate <$W/bundle/config.json | grep -o refused-id

== a container that a runtime starts
namespace
node: --gpu H100-80GB:2 --managed
config() { echo "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},\"annotations\":{$1}${2:+,$2}}" >$W/bundle/config.json; }
state() { printf '{"ociVersion":"1.0.2","id":"c1","status":"created","pid":%s,"bundle":"%s"}' "${1:-0}" "${2:-$W/bundle}"; }
start() { state "$@" | divvy-hook create-runtime --request=exclusive; }
$ start 2>&1
$ start 4000000
$ start 1
sleep 300 & pid=$!
$ start $pid
unshare --mount sleep 300 & own=$!
until [ $(readlink /proc/$own/ns/mnt) != $(readlink /proc/self/ns/mnt) ]; do sleep 0.05; done
$ start $own
hooks="\"hooks\":{\"createRuntime\":[{\"path\":\"$(dirname $W)/bin/divvy-hook\",\"args\":[\"divvy-hook\",\"create-runtime\",\"--request=exclusive\"]}]}"
$ config; start $own
$ config '"divvy.request":"exclusive","divvy.claim":"other"'; start $own
$ config '"divvy.claim":"other"' "$hooks"; start $own
claim slices time-slicing
$ config '"divvy.claim":"slices"' "$hooks"; start $own
divvy release slices
claim whole exclusive
$ config '"divvy.claim":"whole"' "$hooks"; start $own
divvy release --force whole
divvy prepare --claim single --start-process $own exclusive >/dev/null
$ config '"divvy.claim":"single"' "$hooks"; start $own
$ divvy release single
$ divvy prepare --claim single exclusive
$ state $own | sed s/c1/c2/ | divvy-hook create-runtime --request=exclusive
$ config '' "$hooks" | sed 's/"root":[^}]*},//'; sed -i 's/"root":[^}]*},//' $W/bundle/config.json; start $own
# Another program answers what no divvy does.
grant() { rm -f $(dirname $W)/bin/divvy; printf '#!/bin/sh\ncat <<end\n{"claim":"job","devices":[],"edits":{%s}}\nend\n' "$1" >$(dirname $W)/bin/divvy; chmod +x $(dirname $W)/bin/divvy; start $own; }
$ divvy release --force single; config '' "$hooks"; grant '"env":["A=1"]'
$ grant '"netDevices":[{"hostInterfaceName":"a","name":"b"}]'
$ grant '"intelRdt":{"closID":"a"}'
$ grant '"additionalGids":[5]'
$ grant '"mounts":[{"hostPath":"/x","containerPath":"/x","type":"tmpfs"}]'
$ grant '"deviceNodes":[{"path":"/dev/none"}]'
$ grant '"deviceNodes":[{"path":"/etc/passwd"}]'
$ grant "\"hooks\":[{\"hookName\":\"createContainer\",\"path\":\"$(dirname $W)/bin/divvy-hook\",\"args\":[\"divvy-hook\",\"create-container\"]}]"
$ grant '"hooks":[{"hookName":"createContainer","path":"/bin/true"}]'
$ state $own | unshare --user --map-root-user divvy-hook create-runtime --request=exclusive
kill $pid $own
