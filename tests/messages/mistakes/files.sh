# Files that are wrong: configurations, CDI specs, requests, layouts.

== a configuration that can't be read
$ divvy --config /nonexistent/config.yaml status >/dev/null
$ mkdir folder; divvy --config folder status
$ printf 'gpu: []\n' >c; divvy --config c status
$ printf 'gpus: [{match: "*", claims: 0}]\n' >c; divvy --config c status
$ printf 'gpus: [{match: "*", replicas: none}]\n' >c; divvy --config c status
$ printf 'gpus: [{match: "MIG-12345678-1234-1234-1234-123456789abc"}]\n' >c; divvy --config c status
$ printf 'gpus: [{match: "*", mig-mode: enable}]\n' >c; divvy --config c status
$ printf 'gpus: [{match: "*", managed: maybe}]\n' >c; divvy --config c status
$ printf 'gpus: {\n' >c; divvy --config c status
$ printf 'gpus: yes\n' >c; divvy --config c status
$ printf 'gpus: []\ngpus: []\n' >c; divvy --config c status
$ printf 'shares: {a: 12}\n' >c; divvy --config c status
$ printf 'shares: {a: {}}\n' >c; divvy --config c status
$ printf 'shares: {mps: mps}\n' >c; divvy --config c status
$ printf 'shares: {-x: mps}\n' >c; divvy --config c status
$ printf 'shares: {a: mpss}\n' >c; divvy --config c status
$ printf 'shares: {a: time-slicing as b}\n' >c; divvy --config c status
$ printf 'cdi-names: [2x mps]\n' >c; divvy --config c status
$ printf 'cdi-names: [\n  mps:thread=5]\n' >c; divvy --config c status
$ printf 'host: {cdi-dirs: []}\n' >c; divvy --config c status
$ printf 'host: {state-dir: here}\n' >c; divvy --config c status
$ printf 'runtime: bin/runc\n' >c; divvy --config c status
$ printf 'runtime: {a: 1}\n' >c; divvy --config c status
$ printf 'runtime: "\\x"\n' >c; divvy --config c status
$ head -c 2M /dev/zero >c; divvy --config c status
$ printf 'resources: [{name: a b, replicas: 4}]\n' >c; divvy --config c status

== resources that the node doesn't have
node: --no-nodes --gpu H100-80GB:2 --mig on
node mig 0 create 1g.10gb 1g.10gb
node mig 1 create 3g.40gb
node caps
try() { printf "$1" >c; divvy --config c cdi generate --hook-path /bin/true >/dev/null; }
$ try 'mig-strategy: single\n'
$ try 'mig-strategy: none\nresources: [{name: nvidia.com/mig-1g.10gb, mode: time-slicing, replicas: 2}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-2g.20gb, mode: time-slicing, replicas: 2}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-1g.10gb, mode: time-slicing, replicas: 2, devices: ["0:7"]}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-1g.10gb, mode: time-slicing, replicas: 2, devices: 3}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-1g.10gb, mode: time-slicing, replicas: 2}, {name: nvidia.com/mig-1g.10gb, mode: mps, replicas: 2}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-1g.10gb, mode: mps, replicas: 200}]\n'
$ try 'resources: [{name: nvidia.com/gpu, strategy: mps}]\n'
$ try 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-3g.40gb, mode: mps, replicas: 100}, {name: nvidia.com/gpu, mode: time-slicing, replicas: 2, devices: [0]}]\n'
$ printf 'mig-strategy: mixed\nresources: [{name: nvidia.com/mig-1g.10gb, kind: nvidia.com/part, mode: time-slicing, replicas: 2}]\n' >c; divvy --config c cdi refresh --no-additional-gids --hook-path /bin/true >/dev/null
$ printf '' >c; divvy --config c cdi refresh --no-additional-gids --hook-path /bin/true
$ divvy --config c cdi generate --device-id 0 --hook-path /bin/true
$ divvy cdi generate --requests --hook-path /bin/true >/dev/null

== more requests named than a spec can hold
{ echo 'cdi-names:'; for n in $(seq 1 100); do for g in 0 1 2; do echo "- mps:threads=$n @$g"; done; done; } >c
$ divvy --config c cdi generate --requests --hook-path /bin/true

== CDI specs that engines would not read
spec() { printf "$1" >"${2:-s.json}"; divvy cdi validate "${2:-s.json}"; }
device() { spec "{\"cdiVersion\":\"1.1.0\",\"kind\":\"a/b\",\"devices\":[{\"name\":\"x\",\"containerEdits\":{$1}}]}"; }
$ spec ''
$ spec '{"cdiVersion":"9.0","kind":"a/b","devices":[]}'
$ spec '{"cdiVersion":"0.5.0","kind":"ab","devices":[]}'
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":[]}'
$ spec '{"cdiVersion":"0.5.0","devices":[]}'
$ spec '[]'
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":{}}'
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"x","containerEdits":{}},{"name":"x","containerEdits":{}}]}'
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"-x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"x y","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.3.0","kind":"a/b","devices":[{"name":"0","containerEdits":{"additionalGids":[5]}}]}'
$ device '"env":["A","B=\\u0000"]'
$ device '"deviceNodes":[{"path":"dev/x","permissions":"rx"},{"path":"","permissions":"none"},{"path":"/a\\u0000"}]'
$ device '"deviceNodes":[{"path":"/x","type":"z"}]'
$ device '"deviceNodes":[{"path":"/x","type":"c","major":-1,"minor":1,"fileMode":99999}]'
$ device '"deviceNodes":[{"path":"/x","uid":-1}]'
$ device '"deviceNodes":[{"path":"/x","major":"one"}]'
$ device '"hooks":[{"hookName":"createRuntime","path":"/bin/true","timeout":0}]'
$ device '"hooks":[{"hookName":"later","path":"/bin/true"}]'
$ device '"netDevices":[{"hostInterfaceName":"","name":"a"},{"hostInterfaceName":"b","name":"a"}]'
$ device '"intelRdt":{"closID":"../x"}'
$ device '"annotations":{}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":{"-x/y":"1"},"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":{"x/-y":"1"},"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":{"y":1},"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":{"y":"1","y":"2"},"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":5,"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a.b.c/d.e","devices":[{"name":"x","containerEdits":{"env":["A=1"],"mounts":[{"hostPath":"/nonexistent","containerPath":"/x"}]}}]}'
$ spec '{"cdiVersion":"0.6.0","kind":"a/b","annotations":[],"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}'
$ spec "$(printf '{"cdiVersion":"0.6.0","kind":"a/b","annotations":{"y":"%%0300000d"},"devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}' 1)"
$ spec '{"cdiVersion":[]}'
$ spec 'cdiVersion: 0.5.0\nkind: caf\351/gpu\n' s.yaml
$ spec '{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}' s.txt
$ truncate -s 100M huge.json; divvy cdi validate huge.json
$ mkfifo fifo.json; divvy cdi validate fifo.json
$ divvy cdi validate absent.json

== a folder of CDI specs
spec() { printf '{"cdiVersion":"0.7.0","kind":"a.b.c/d.e","devices":[{"name":"%s","containerEdits":{"env":["A=1"],"additionalGids":[5],"mounts":[{"hostPath":"/nonexistent","containerPath":"/x"}]}}]}' x >"$DIVVY_CDI_DIR/$1"; }
$ mkdir -p "$DIVVY_CDI_DIR"; spec 1.json; spec 2.json; echo '{' >"$DIVVY_CDI_DIR/3.json"; echo '{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"x","containerEdits":{}},{"name":"y","containerEdits":{}}]}' >"$DIVVY_CDI_DIR/4.json"; sed "s/]}$/,{\"name\":\"z\",\"containerEdits\":{}}]}/" "$DIVVY_CDI_DIR/4.json" >"$DIVVY_CDI_DIR/5.json"; divvy cdi list
$ divvy cdi validate "$DIVVY_CDI_DIR/1.json"
$ divvy cdi refresh --vendor a.b.c --class d.e --hook-path /bin/true
$ divvy --cdi-dir "$DIVVY_CDI_DIR/1.json" cdi list
$ divvy --cdi-dir '' cdi refresh --hook-path /bin/true
$ divvy --cdi-dir "$DIVVY_CDI_DIR/1.json" cdi refresh --hook-path /bin/true

== an engine that drops what it doesn't know
node: --gpu L4
mkdir programs; printf '#!/bin/sh\necho podman version 4.3.1\n' >programs/podman; chmod +x programs/podman
$ PATH="programs:$PATH" divvy cdi refresh --hook-path /bin/true

== a spec that can't be written
$ divvy cdi generate --hook-path /bin/true --output /proc/spec.yaml 2>&1 | sed 's/spec.yaml-[^.]*/spec.yaml-XXXXXX/'
$ divvy cdi generate --hook-path /bin/true --output /dev/null
$ divvy cdi generate --hook-path /bin/true --output /dev/null/spec.yaml
$ mkdir spec.yaml; divvy cdi generate --hook-path /bin/true --output spec.yaml

== requests in a file
try() { cat >r.yaml; divvy plan -f r.yaml; }
$ divvy plan -f absent.yaml
$ try <<<'[]'
$ try <<<'- {mode: mig}'
$ try <<<'- {mode: exclusive, threads: 5}'
$ try <<<'- [mps]'
$ try <<<'- {mode: mps, threads: many}'
$ try <<<'- {mode: mps, count: 65}'
$ try <<<'- {mode: mps, memory: 10Gb}'
$ try <<<'{kind: Pod, apiVersion: v1}'
$ try <<<'[{mode: mps, threads: {}}]'
$ { printf -- '- mps @'; printf 'x%.0s' {1..70000}; } | try 2>&1 | cut -c1-100
$ { printf -- '- {mode: mps}\n%.0s' {1..100}; } | try
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: a}, spec: {devices: {requests: [{name: r, exactly: {}}]}}}'
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: a}, spec: {devices: {requests: [{name: r, deviceClassName: gpu.nvidia.com, exactly: {deviceClassName: gpu.nvidia.com}}]}}}'
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1beta1, metadata: {name: a}, spec: {devices: {requests: [{name: r}]}}}'
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: a}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu.nvidia.com, selectors: [{cel: {expression: "device.attributes['"'gpu.nvidia.com'"'].profile == '"'1g.10gb'"'"}}]}}]}}}'
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: a}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: mig.nvidia.com, selectors: [{cel: {expression: "device.attributes['"'gpu.nvidia.com'"'].profile == '"'1g.10gb'"'"}}, {cel: {expression: "device.attributes['"'gpu.nvidia.com'"'].profile == '"'2g.20gb'"'"}}]}}]}}}'
$ try <<<'{kind: GpuConfig, apiVersion: resource.nvidia.com/v1beta1, sharing: {strategy: MPS, timeSlicingConfig: {interval: Short}}}'
$ try <<<'{kind: GpuConfig, apiVersion: resource.nvidia.com/v1beta1, sharing: {strategy: MPS, mpsConfig: {defaultPinnedDeviceMemoryLimit: much}}}'
claims='{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: a}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu.nvidia.com}}]}}}
---
{kind: ResourceClaim, apiVersion: resource.k8s.io/v1, metadata: {name: b}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: gpu.nvidia.com}}]}}}'
$ try <<<'{kind: ResourceClaim, apiVersion: resource.k8s.io/v1beta1, metadata: {name: a}, spec: {devices: {requests: [{name: r}]}}}'
$ try <<<"$claims"
$ divvy plan -f r.yaml --manifest c

== a configuration of NVIDIA's device plugin
try() { cat >p.yaml; divvy import p.yaml "$@"; }
$ try <<<'{kind: Pod, apiVersion: v1}'
$ try <<<'{version: v1, flags: {deviceDiscoveryStrategy: tegra, gdrcopyEnabled: true, gdsEnabled: true, mofedEnabled: true, gfd: {oneshot: true}, mpsRoot: /mps, plugin: {passDeviceSpecs: true}}, imex: {channelIDs: [1]}}'
$ try <<<'{version: v1, sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 200}]}}}'
$ try <<<'{version: v1, sharing: {timeSlicing: {resources: []}}}'
map() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {%s}\ndata: {a: "version: v1", b: "version: v1"}\n' "$1"; }
policy() { printf 'apiVersion: nvidia.com/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec: {%s}\n' "$1"; }
$ map 'name: m' | try
$ map 'name: m' | try --config-name c
$ try --config-name c <<<'{version: v1}'
$ map 'name: m' | sed 's/"version: v1"/"{version: v1, flag: 1}"/' | try --config-name a
$ map 'name: m' | try --node-label other=x
$ { map 'name: m'; echo ---; map 'name: n'; } | try
$ { policy 'devicePlugin: {config: {name: m}}'; echo ---; map ''; } | try
$ policy 'devicePlugin: {config: {name: other}}' | try
$ { policy 'devicePlugin: {config: {name: other}}'; echo ---; map 'name: m'; } | try
$ { policy 'devicePlugin: {config: {name: m, default: a}}, mig: {strategy: mixed}'; echo ---; map 'name: m' | sed 's/"version: v1"/"{version: v1, flags: {migStrategy: single}}"/'; } | try
$ { policy ''; echo ---; policy ''; } | try
echo other >out.yaml
$ try --output-file out.yaml <<<'{version: v1, flags: {migStrategy: mixed}}'
