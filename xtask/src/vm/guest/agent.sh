#!/bin/bash
# Runs one scenario inside a machine and sends what there is to know about it through a virtio port.
out=/run/machine-out
mkdir -p "$out"
cd /run || exit 1

# What the expectations compare with: a name, and a value that only the machine knows.
fact() { printf '%s=%s\n' "$1" "$2" >> "$out/facts"; }

# Waits until a command succeeds, for at most 20 s.
until_ok() {
    local n=0
    until "$@" > /dev/null 2>&1; do
        n=$((n + 1)); [ $n -gt 100 ] && { echo "never succeeded: $*"; return 1; }
        sleep 0.2
    done
}

# The newest disk of scsi_debug that is not listed before, e.g. sda.
scsi_debug_disk() {
    udevadm settle
    until_ok sh -c 'ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*'
    udevadm settle
    basename "$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/* | sort | tail -n 1)"
}

# What lsblk says a device is made of, and what is made of it, as /dev/sda,/dev/sdb.
lsblk_paths() { lsblk -n -l -o KNAME "$@" | tail -n +2 | sort -u | sed 's,^ *,/dev/,; s, *$,,' | LC_ALL=C sort | paste -s -d ,; }
owners_of() { lsblk_paths -s "$1"; }
holders_of() { lsblk_paths "$1"; }

# Ends the scenario unless sysfs, lsblk and scsi_id give a SCSI disk the same id, in their own spellings.
same_ids() {
    local id=$(cat /sys/block/$1/device/wwid)
    [ "naa.$(lsblk -d -n -o WWN /dev/$1 | sed s/^0x//)" = "$id" ] && [ "$(/lib/udev/scsi_id -g -u /dev/$1)" = "3${id#naa.}" ]
}

read_at() { dd if="$1" of=/dev/null bs=512 count="${3:-8}" skip="$2" iflag=direct; }
write_at() { dd if=/dev/zero of="$1" bs=512 count="${3:-8}" seek="$2" oflag=direct; }
# A scenario that goes on after a reboot of its machine, with the facts of before.
kept=/var/lib/peripety-machine
is_rebooted() { [ -e $kept/facts ]; }
reboot_machine() {
    mkdir -p $kept
    cat "$out/facts" > $kept/facts
    cat "$out/script.log" > $kept/script.log
    sync
    systemctl reboot
    sleep 600
}
# Takes down all that peripety says, and what it is compared with.
collect() {
    # An event that grows is final some seconds after its last failure.
    sleep 6
    for _try in $(seq 20); do
        udevadm settle
        growing=$(prpt query --boot 0 --format Json | jq -s 'map(select(.final | not)) | length')
        [ "$growing" = 0 ] && break
        sleep 1
    done

    prpt query --boot 0 --format Json --all-revisions > "$out/events.json" 2> "$out/query.err"
    # The recording gives the events of the journal once more.
    for _try in 1 2 3 4 5; do
        cp /run/peripety/recording.jsonl "$out/recording.jsonl"
        prpt replay --all-revisions --format Json "$out/recording.jsonl" 2> "$out/replay.err" | sort > /run/replayed
        prpt query --source journal --boot 0 --format Json --all-revisions 2> /dev/null | sort > /run/queried
        diff /run/queried /run/replayed > "$out/replay.diff" && break
        sleep 1
    done

    prpt status --format Json > "$out/status.json" 2> "$out/status.err"
    prpt status > "$out/status" 2>&1
    prpt incidents --format Json > "$out/incidents.json" 2> "$out/incidents.err"
    prpt incidents --verbose > "$out/incidents" 2>&1
    systemctl show peripetyd -p ActiveState,SubState,NRestarts,MainPID,MemoryCurrent,CPUUsageNSec,StatusText > "$out/service"
    prpt doctor > "$out/doctor" 2>&1
    prpt probes > "$out/probes" 2>&1
    lsblk --json -s -o NAME,PATH,WWN,SERIAL,TYPE,MOUNTPOINT > "$out/lsblk.json" 2>&1
    journalctl -b -u peripetyd -o short-monotonic --no-hostname > "$out/daemon.log" 2>&1
    journalctl -b -o short-monotonic --no-hostname > "$out/journal.log" 2>&1
    journalctl -b -o export > "$out/journal.export" 2> /dev/null
    dd if=/dev/kmsg iflag=nonblock bs=8192 of="$out/kmsg" 2> /dev/null
    uname -r > "$out/kernel"
}
export -f fact until_ok scsi_debug_disk lsblk_paths owners_of holders_of same_ids read_at write_at collect
export out

is_rebooted && cat $kept/facts > "$out/facts"
[ -e /root/packages ] || until_ok systemctl is-active peripetyd
udevadm settle
fact boot_seconds "$(cut -d' ' -f1 /proc/uptime)"
# By a pipe: whoever opens /dev/stderr of a file to write to it (tee) empties the file.
(
    set -x
    . /usr/lib/peripety-machine/scenario.sh
) > >(exec cat > "$out/script.log") 2>&1
code=$?
is_rebooted && cat $kept/script.log "$out/script.log" > "$out/script.all" && mv "$out/script.all" "$out/script.log"
echo $code > "$out/script.exit"

[ -e "$out/events.json" ] || collect
tar -C "$out" -cf - . > /dev/virtio-ports/org.peripety.out
sync
poweroff -ff
