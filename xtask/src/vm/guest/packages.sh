# A machine's life with peripety's packages: installed, upgraded in a storm, removed, installed again, purged.
cd /root/packages || exit 20

# All files but those of others that change by themselves; multipath notes the disk that was made.
files() {
    find / -xdev \( -path /var/log -o -path /var/lib/dpkg -o -path /var/cache -o -path /tmp -o -path /var/tmp \
        -o -path /etc/multipath -o -path /var/lib/peripety-machine -o -path /var/lib/systemd/catalog -o -path /var/lib/systemd/random-seed \
        -o -path /var/lib/systemd/timers -o -path /var/lib/private \) -prune -o -print | LC_ALL=C sort
    find /run/peripety* /sys/fs/bpf /var/lib/private -mindepth 0 2> /dev/null | LC_ALL=C sort
}
in_catalog() { journalctl --list-catalog 2> /dev/null | grep -q f6a047729e4a508bb0b5f9fd4149543d; }

files > /tmp/before
in_catalog && exit 21

dpkg -i 1/*.deb || exit 22
systemctl is-active peripetyd peripetyd.socket || exit 23
[ "$(systemctl is-enabled peripetyd)" = enabled ] || exit 24
until_ok systemctl is-active peripety-notify || exit 25
[ "$(systemctl is-enabled peripety-notify)" = enabled ] || exit 26
in_catalog || exit 27
prpt --version && prpt doctor
[ -e /usr/share/man/man8/peripetyd.8.gz ] && [ -e /usr/share/bash-completion/completions/prpt ] || exit 28
dpkg --verify peripety peripety-notify peripety-watch | tee /dev/stderr | grep . && exit 29

# Failures one after the other, until some time after the upgrade. A configuration that was changed stays, and nobody is asked.
modprobe scsi_debug dev_size_mb=64 opts=2
disk=$(scsi_debug_disk)
fact disk "$disk"
echo '# changed' >> /etc/peripetyd.conf
rm -f /tmp/enough
(
    n=0
    until [ -e /tmp/enough ]; do
        read_at /dev/$disk 4660 1 2> /dev/null
        n=$((n + 1))
    done
    echo $n > /tmp/failures
) &
sleep 4
pid=$(systemctl show -P MainPID peripetyd)
dpkg -i 2/*.deb < /dev/null || exit 30
[ "$(systemctl show -P MainPID peripetyd)" != "$pid" ] || exit 31
systemctl is-active peripetyd peripetyd.socket || exit 32
grep -q '^# changed' /etc/peripetyd.conf || exit 33
sleep 4
touch /tmp/enough
wait
fact failures "$(cat /tmp/failures)"
cat /tmp/failures
collect
sed -i '/^# changed/d' /etc/peripetyd.conf

# Removed: what runs ends, nothing stays in the kernel, the configuration waits for the package to come back.
dpkg -r peripety-notify peripety-watch peripety || exit 40
systemctl is-active peripetyd peripetyd.socket peripety-notify peripety-watch && exit 41
pidof peripetyd peripety-notify peripety-watch && exit 42
[ -e /sys/fs/bpf/peripety ] && find /sys/fs/bpf/peripety -mindepth 1 | grep . && exit 43
[ -e /etc/peripetyd.conf ] || exit 44
[ -e /usr/bin/prpt ] && exit 45

# As if it had never been removed.
dpkg -i 2/*.deb || exit 50
systemctl is-active peripetyd || exit 51
[ "$(systemctl is-enabled peripetyd)" = enabled ] || exit 52

# Who disabled it does not find it enabled by an upgrade.
systemctl disable --now peripetyd
dpkg -i 2/*.deb || exit 53
systemctl is-enabled peripetyd && exit 54

dpkg -P peripety-notify peripety-watch peripety || exit 60
systemctl is-active peripetyd peripety-notify peripety-watch && exit 61
in_catalog && exit 62
getent passwd peripety-notify && exit 63
# Of this bench, and not of the package.
files > /tmp/after
diff /tmp/before /tmp/after > /tmp/left
cat /tmp/left
! [ -s /tmp/left ] || exit 64
true
