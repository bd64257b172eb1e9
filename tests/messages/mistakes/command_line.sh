# Words on the command line that are wrong.

== the words of a request
$ divvy plan mpss
$ divvy plan mps:threads=200
$ divvy plan mps:threads=10,threads=20
$ divvy plan mps:memory=lots
$ divvy plan mig
$ divvy plan mig:
$ divvy plan mig:1g
$ divvy plan mig:3g.40gb,compute=99c
$ divvy plan mig:3g.40gb/mpss
$ divvy plan mig:3g.40gb/time-slicing:interval=short
$ divvy plan exclusive:threads=10
$ divvy plan time-slicing:intervall=long
$ divvy plan 65x mps
$ divvy plan 2 mps
$ divvy plan 'mps @'
$ divvy plan 'mps @GPU-12'
$ divvy plan 'mps as -x'
$ divvy plan ''
$ divvy plan "mps @$(printf 'x%.0s' {1..600})"
$ divvy plan '2x mig:1g.10gb @MIG-12345678-1234-1234-1234-123456789abc'
$ divvy plan 64x mps 2x mps
$ yes 'mig:1g.10gb/time-slicing@NVIDIA-H100-80GB-HBM3-of-a-long-name-and-longer' | head -900 | xargs divvy plan
$ printf '%s\n' {1..9} | xargs -I{} echo '- mps' >r.yaml; head -c 2000000 /dev/zero | tr '\0' ' ' >>r.yaml; divvy plan -f r.yaml

== a claim and its processes
$ divvy prepare --claim "$(printf 'x%.0s' {1..64})" mps
$ divvy prepare --start-process 4000000 mps
$ divvy release absent

== the words of a spec
$ divvy cdi generate --device-name-strategy uiid
$ divvy cdi generate --device-name-strategy gpu
$ divvy cdi generate --vendor -x
$ divvy cdi generate --vendor 1x
$ divvy cdi generate --vendor x-
$ divvy cdi generate --vendor 'a b'
$ divvy cdi generate --class ''
$ divvy cdi generate --class 'a b'
$ divvy cdi generate --vendor "$(printf 'x%.0s' {1..300})" | cut -c1-40
$ divvy cdi generate --mode csv
$ divvy cdi generate --mode fast
$ divvy cdi generate --feature-flag speed
$ divvy cdi generate --disable-hook ldcache
$ divvy cdi generate --hook-path divvy-hook
$ divvy cdi generate --ldconfig-path ldconfig
$ divvy cdi generate --device-id 7
$ divvy cdi generate --requests --disable-hook all
$ divvy cdi generate --hook-path /opt/divvy-hook >/dev/null
$ divvy cdi generate --hook-path /bin/true --output "$DIVVY_CDI_DIR/gpus.txt"
$ divvy cdi generate --device-name-strategy "$(printf '\377')"
$ divvy --driver-root "$(printf '/tmp/\377')" cdi generate 2>&1 | tr -c '[:print:]\n' '?'

== the words of other commands
$ divvy import --node-label nonsense /dev/null
$ divvy labels --mig-strategy double
$ divvy runtime configure --runtime docker --drop-in /etc/x
$ divvy runtime configure --runtime podman --engine-config /etc/x
$ divvy runtime configure --runtime docker --runtime-name 'a b'
$ divvy runtime configure --runtime docker --runtime-name runc
$ divvy runtime configure --runtime docker --runtime-path "$(printf '/x\377')" 2>&1 | tr -c '[:print:]\n' '?'

== an answer that nobody takes
$ divvy status >/dev/full

== a configuration that isn't there
$ divvy --config nowhere.yaml plan exclusive
