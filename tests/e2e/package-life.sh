#!/bin/bash
# Inside a bed: installs /bed/divvy.deb, uses it, takes it away, and sees that nothing is left.
set -eu
fail() { echo "error: $*" >&2; exit 1; }

# What a machine has besides what runs on it and what dpkg itself writes down.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /bed -o -path /var/lib/dpkg \
    -o -path /var/log -o -path /var/cache -o -path /root \) -prune -o -print | sort
}
here() { [ -e "$1" ] || fail "$1 isn't there"; }
gone() { [ ! -e "$1" ] || fail "$1 is still there"; }

files >/tmp/before
# This root leaves manuals and documents out; a user's doesn't.
dpkg --path-include='/usr/share/*' -i /bed/divvy.deb >/tmp/log 2>&1 || { cat /tmp/log; fail "dpkg -i failed"; }

[ -z "$(dpkg --verify divvy)" ] || fail "files are not as in the package: $(dpkg --verify divvy)"
[ "divvy $(dpkg-query -W -f '${Version}' divvy | sed 's/-[^-]*$//')" = "$(divvy --version)" ] || fail "$(divvy --version) is another version"
for unit in multi-user.target.wants/divvy-cdi-refresh.service multi-user.target.wants/divvy-cdi-refresh.path timers.target.wants/divvy-reconcile.timer; do
  here "/etc/systemd/system/$unit"
done
for file in man/man1/divvy.1.gz man/man8/divvy-hook.8.gz zsh/vendor-completions/_divvy bash-completion/completions/divvy doc/divvy/examples/config.yaml containers/oci/hooks.d/divvy.json; do
  here "/usr/share/$file"
done
divvy --config /usr/share/doc/divvy/examples/config.yaml cdi list
divvy claims >/dev/null
divvy runtime configure --runtime podman >/dev/null
here /etc/containers/containers.conf.d/divvy.conf

# Switched off by the administrator, and off still after an update.
rm /etc/systemd/system/timers.target.wants/divvy-reconcile.timer
dpkg --path-include='/usr/share/*' -i /bed/divvy.deb >/tmp/log 2>&1 || { cat /tmp/log; fail "the update failed"; }
gone /etc/systemd/system/timers.target.wants/divvy-reconcile.timer

# An engine keeps no runtime that isn't there any more.
dpkg -r divvy >/tmp/log 2>&1 || { cat /tmp/log; fail "dpkg -r failed"; }
gone /usr/bin/divvy
gone /etc/containers/containers.conf.d/divvy.conf
dpkg -P divvy >/tmp/log 2>&1 || { cat /tmp/log; fail "dpkg -P failed"; }
gone /run/divvy
files >/tmp/after
diff /tmp/before /tmp/after || fail "the files above came or went"
