#!/bin/sh
# Starts peripetyd in the initramfs: what fails before the root is there waits in /run/peripety and in the ring of its
# probes, which stay pinned in /sys/fs/bpf. Both go along to the real root, where the daemon of the system goes on from there.

[ -x /usr/sbin/peripetyd ] || exit 0

is_mounted() {
    while read -r _ place _; do
        [ "$place" = "$1" ] && return 0
    done < /proc/self/mounts
    return 1
}

# Without tracefs no classic tracepoint, without bpffs nothing that outlives this daemon: it works without either.
[ ! -d /sys/kernel/tracing ] || is_mounted /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing
[ ! -d /sys/fs/bpf ] || is_mounted /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/peripety
[ ! -d /sys/fs/bpf ] || mkdir -m 0700 /sys/fs/bpf/peripety 2> /dev/null

/usr/sbin/peripetyd --journal-later > /run/peripety/early-boot.log 2>&1 < /dev/null &
echo $! > /run/peripety/early-boot.pid
exit 0
