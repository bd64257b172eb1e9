#!/bin/bash
# usage: package-life.sh deb|rpm [systemd]
# Inside a bed: installs /bed/divvy.deb or /bed/divvy.rpm, uses it, updates it, takes it away, and sees that nothing
# is left. With systemd, a program in its place writes down what the package's scripts ask of it.
set -eu
kind=$1 systemd=${2:-}
# What is installed, and nothing that was built here.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "error: $*" >&2; exit 1; }
quietly() { "$@" >/tmp/log 2>&1 || { cat /tmp/log; fail "$* failed"; }; }

# This root leaves manuals and documents out, and has none of an .rpm's dependencies; a user's is another.
case $kind in
deb)
  put() { quietly dpkg --path-include='/usr/share/*' -i /bed/divvy.deb; }
  verify() { dpkg --verify divvy; }
  version() { dpkg-query -W -f '${Version}' divvy | sed 's/-[^-]*$//'; }
  remove() { quietly dpkg -r divvy; }
  purge() { quietly dpkg -P divvy; } ;;
rpm)
  put() { quietly rpm -U --nodeps --replacepkgs /bed/divvy.rpm; }
  verify() { rpm -V --nodeps divvy; }
  version() { rpm -q --queryformat '%{VERSION}' divvy; }
  remove() { quietly rpm -e divvy; }
esac

# What a machine has besides what runs on it and what package managers themselves write down.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /bed -o -path /var/lib/dpkg \
    -o -path /var/lib/rpm -o -path /var/log -o -path /var/cache -o -path /root \) -prune -o -print | sort
}
here() { [ -e "$1" ] || fail "$1 isn't there"; }
gone() { [ ! -e "$1" ] || fail "$1 is still there"; }

if [ -n "$systemd" ]; then
  mkdir -p /run/systemd/system
  # Nothing is enabled or runs yet; rpm's scripts have a /tmp of their own.
  cat >/usr/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/run/systemd/asked
case " $* " in *" is-enabled "*) echo enabled ;; *" is-active "*) exit 3 ;; esac
END
  chmod 755 /usr/bin/systemctl
fi
# asked WORD...: whether systemd was asked for this, on one line; what it was asked is forgotten.
asked() {
  local word
  [ -n "$systemd" ] || return 0
  for word; do grep -q -- "$word" /run/systemd/asked || { cat /run/systemd/asked; fail "systemd was not asked: $word"; }; done
  : >/run/systemd/asked
}

# Other packages of a distribution with rpm have these.
[ "$kind" = deb ] || mkdir -p /usr/share/containers/oci/hooks.d /usr/share/licenses /usr/share/zsh/site-functions
files >/tmp/before
run_folders() { find /run -mindepth 1 -maxdepth 1 ! -name cdi | sort; }
run_folders >/tmp/run-before
put

[ -z "$(verify)" ] || fail "files are not as in the package: $(verify)"
[ "divvy $(version)" = "$(divvy --version)" ] || fail "$(divvy --version) is another version than $(version)"
if [ "$kind" = deb ]; then
  # With systemd it is asked to enable them; without, the links are made.
  [ -n "$systemd" ] || for unit in multi-user.target.wants/divvy-cdi-refresh.service multi-user.target.wants/divvy-cdi-refresh.path timers.target.wants/divvy-reconcile.timer; do
    here "/etc/systemd/system/$unit"
  done
  for file in man/man1/divvy.1.gz man/man8/divvy-hook.8.gz zsh/vendor-completions/_divvy doc/divvy/examples/config.yaml; do here "/usr/share/$file"; done
  asked 'preset.*divvy-reconcile.timer' daemon-reload 'start.*divvy-cdi-refresh.service' 'start.*divvy-reconcile.timer'
else
  for file in man/man1/divvy.1 man/man8/divvy-hook.8 zsh/site-functions/_divvy doc/divvy/config.yaml licenses/divvy/LICENSE; do here "/usr/share/$file"; done
  asked daemon-reload 'preset divvy-cdi-refresh.service divvy-cdi-refresh.path divvy-reconcile.timer'
fi
for file in bash-completion/completions/divvy containers/oci/hooks.d/divvy.json; do here "/usr/share/$file"; done

# In use: an engine's configuration, and CDI files of each sort.
"$DIVVY_REPOSITORY/target/debug/fake-node" create /tmp/node --gpu H100-80GB --managed >/tmp/env
cp /tmp/node/config.yaml /etc/divvy/
divvy --config "$(find /usr/share/doc/divvy -name config.yaml)" cdi list
divvy runtime configure --runtime podman >/dev/null
here /etc/containers/containers.conf.d/divvy.conf
divvy cdi refresh >/dev/null
divvy prepare time-slicing --claim job >/dev/null
for name in divvy-gpu divvy-requests divvy-claim_job; do here "/var/run/cdi/$name.json"; done

# Switched off by the administrator, and off still after an update, which disturbs no claim.
[ "$kind" = rpm ] || rm -f /etc/systemd/system/timers.target.wants/divvy-reconcile.timer
put
gone /etc/systemd/system/timers.target.wants/divvy-reconcile.timer
if [ "$kind" = deb ]; then asked daemon-reload 'restart.*divvy-cdi-refresh.service'; else asked daemon-reload 'try-restart'; fi
divvy claims | grep -q ^job || fail "an update lost a claim"
here /etc/containers/containers.conf.d/divvy.conf

# An engine keeps no runtime and no CDI device whose program isn't there any more.
remove
gone /usr/bin/divvy
gone /etc/containers/containers.conf.d/divvy.conf
for name in divvy-gpu divvy-requests divvy-claim_job; do gone "/var/run/cdi/$name.json"; done
if [ "$kind" = deb ]; then asked 'stop.*divvy-reconcile.timer' daemon-reload; else asked 'disable --now.*divvy-reconcile.timer' daemon-reload; fi
# The administrator's configuration stays; the folder goes without it.
here /etc/divvy/config.yaml
rm -r /etc/divvy/config.yaml /tmp/node
if [ "$kind" = deb ]; then purge; else rmdir /etc/divvy; fi
files >/tmp/after
diff /tmp/before /tmp/after || fail "the files above came or went"
# A folder for CDI files is every tool's.
run_folders >/tmp/run-after
diff /tmp/run-before /tmp/run-after || fail "the folders of /run above came or went"
