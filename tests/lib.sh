# shellcheck shell=bash
# What the scripts of this directory have in common. Each of them makes a real failure on devices of its own, and checks
# with `prpt query` that peripety tells of it. Run them as root, by hand, on any machine with the modules:
#
#     sudo tests/scsi.sh
#
# They use the peripetyd that runs, or start one from $PERIPETY_BIN_DIR, target/release, target/debug or PATH. They leave
# nothing behind, also when they are interrupted. Exit status: 0 all events are there, 1 one is missing or something
# failed, 77 this machine lacks something.

set -u -o pipefail
PATH=$PATH:/usr/sbin:/sbin
name=${0##*/}
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
missing=0
undo=()

say() { printf '%s: %s\n' "$name" "$*"; }
skip() { say "skipped: $*"; exit 77; }
fail() { say "FAILED: $*" >&2; exit 1; }

# Runs a command whose words matter only if it fails.
quietly() {
    local words
    words=$("$@" 2>&1) || { echo "$words" >&2; return 1; }
}

# Remembers what is to be done at the end, the last one first. Said before the thing is done, which may be interrupted: it
# has to do no harm where nothing was done.
at_exit() { undo+=("$*"); }

clean_up() {
    local status=$? i
    trap '' INT TERM HUP
    trap - EXIT
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
        eval "${undo[i]}" > /dev/null 2>&1
    done
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need_root() { [ "$(id -u)" = 0 ] || skip "it needs root"; }
need_tools() {
    local tool
    for tool; do command -v "$tool" > /dev/null || skip "there is no $tool"; done
}
need_modules() {
    local module
    for module; do
        # A part of the kernel itself is no module.
        modprobe -q "$module" 2> /dev/null || [ -d "/sys/module/$module" ] || skip "this kernel has no $module"
    done
}
need_dm() {
    need_tools dmsetup
    need_modules dm_mod
    dmsetup version > /dev/null 2>&1 || skip "device-mapper does not work here"
    local target
    for target; do
        modprobe -q "dm-$target" 2> /dev/null
        dmsetup targets | grep -q "^$target " || skip "device-mapper has no $target target"
    done
}

# Waits until a command succeeds, for at most 20 s.
until_ok() {
    local n=0
    until "$@" > /dev/null 2>&1; do
        n=$((n + 1))
        [ $n -gt 100 ] && return 1
        sleep 0.2
    done
}
settle() { if command -v udevadm > /dev/null; then udevadm settle --timeout=20 2> /dev/null; else sleep 1; fi; }

# A directory of ours, in memory.
make_dir() {
    dir=${TMPDIR:-/run}/peripety-$name.$$
    [ ! -e "$dir" ] || fail "$dir is in the way"
    at_exit "rm -rf '$dir'"
    mkdir -m 0700 "$dir" || fail "cannot make a directory"
    at_exit "umount '$dir' || umount -l '$dir'"
    mount -t tmpfs -o size=768m,mode=0700 tmpfs "$dir" || fail "cannot mount a tmpfs"
}

find_program() {
    local place
    for place in "${PERIPETY_BIN_DIR:-}" "$here/../target/release" "$here/../target/debug"; do
        [ -n "$place" ] && [ -x "$place/$1" ] && { echo "$place/$1"; return; }
    done
    command -v "$1" || fail "there is no $1: run 'cargo build', or set PERIPETY_BIN_DIR"
}

# Takes the peripetyd that runs, or starts one.
start_peripety() {
    prpt=$(find_program prpt) || exit 1
    if ! "$prpt" probes > /dev/null 2>&1 && [ $? = 2 ]; then
        local daemon
        daemon=$(find_program peripetyd) || exit 1
        [ -n "${dir:-}" ] || make_dir
        [ -d /run/peripety ] || at_exit "rm -rf /run/peripety"
        # Its probes stay attached for the next one else.
        at_exit "'$daemon' --detach"
        # shellcheck disable=SC2016 # It is evaluated at the exit.
        at_exit '[ -z "${daemon_pid:=${!:-}}" ] || { kill "$daemon_pid"; wait "$daemon_pid"; }'
        "$daemon" > "$dir/daemon.log" 2>&1 &
        daemon_pid=$!
        until_ok test -S /run/peripety/peripety.sock || { cat "$dir/daemon.log"; fail "peripetyd does not start"; }
        until_ok asks_daemon || { cat "$dir/daemon.log"; fail "peripetyd does not answer"; }
        say "peripetyd was started"
    fi
    # Kernel text has a clock of its own, a little behind.
    since=$(date -d '-2 seconds' '+%Y-%m-%d %H:%M:%S')
}
asks_daemon() { "$prpt" probes > /dev/null 2>&1 || [ $? = 1 ]; }

query() { "$prpt" query --since "$since" "$@"; }

# expect TYPE DEVICE [PATTERN…]: an event of this type (or one of several, A,B) about the device; its JSON has the patterns.
expect() {
    local types=$1 device=$2 n=0 found pattern all
    shift 2
    while :; do
        found=$(query --event-type "$types" --blk "$device" --format Json 2> /dev/null)
        all=${found:+yes}
        for pattern; do
            grep -Eq -- "$pattern" <<< "$found" || all=
        done
        if [ -n "$all" ]; then
            say "ok: $types on $device${*:+ with $*}"
            return 0
        fi
        n=$((n + 1))
        [ $n -gt 40 ] && break
        sleep 0.5
    done
    say "MISSING: $types on $device${*:+ with $*}" >&2
    missing=1
    return 1
}

# Ends the script: tells what was seen, fails if an event is missing.
conclude() {
    [ $missing = 0 ] && { say "all events are there"; exit 0; }
    say "what was told since the start:" >&2
    query >&2
    exit 1
}

# The disks of scsi_debug, by number of their host. $1: how many, then its parameters.
make_scsi() {
    local wanted=$1
    shift
    need_modules scsi_mod
    modinfo scsi_debug > /dev/null 2>&1 || skip "this kernel has no scsi_debug"
    [ -d /sys/module/scsi_debug ] && skip "scsi_debug is in use; unload it"
    modprobe -q sd_mod
    at_exit 'until_ok unload_scsi'
    modprobe scsi_debug "$@" || fail "cannot load scsi_debug"
    settle
    until_ok have_disks "$wanted" || fail "scsi_debug made no $wanted disks"
    settle
}
unload_scsi() { [ ! -d /sys/module/scsi_debug ] || modprobe -r scsi_debug; }
have_disks() {
    mapfile -t disks < <(find /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/ \
        -mindepth 1 -maxdepth 1 -printf '%f\n' 2> /dev/null | sort)
    [ "${#disks[@]}" -ge "$1" ]
}

# A loop device of $1 MiB: its path is $loop.
make_loop() {
    [ -n "${dir:-}" ] || make_dir
    need_modules loop
    local file
    file=$(mktemp "$dir/disk.XXXXXX") && truncate -s "$1M" "$file"
    at_exit "losetup -n -O NAME -j '$file' | xargs -r losetup -d"
    loop=$(losetup -f --show "$file") || skip "there are no loop devices"
}

# A map of device-mapper: its name, its table.
make_map() {
    ! dmsetup info "$1" > /dev/null 2>&1 || fail "there is a map $1"
    at_exit "until_ok remove_map $1"
    dmsetup create "$1" --table "$2" || fail "cannot make the map $1"
    settle
}
# Udev may still look at it.
remove_map() { ! dmsetup info "$1" || dmsetup remove --force --retry "$1"; }

# A volume group named $1 on the device $2, made with LVM's options in `lvm`, and removed without writing to the device.
make_group() {
    at_exit "rm -rf /dev/$1"
    at_exit "until_ok remove_volumes $1"
    # shellcheck disable=SC2154 # It is the caller's.
    quietly pvcreate -q -y "${lvm[@]}" "$2" || fail "pvcreate does not work"
    # Udev's rules activate what they find, also while it is being removed. LVM before 2.03.12 does not know the option.
    vgcreate -q --setautoactivation n "${lvm[@]}" "$1" "$2" > /dev/null 2>&1 ||
        quietly vgcreate -q "${lvm[@]}" "$1" "$2" || fail "vgcreate does not work"
}
remove_volumes() {
    local volume left=0
    settle
    for volume in $(dmsetup ls | sed -n "s/^\($1-[^[:space:]]*\)[[:space:]].*/\1/p"); do
        dmsetup remove "$volume" || left=1
    done
    [ $left = 0 ]
}

# A map named $1 over both disks of scsi_debug, made by multipathd where that runs; $map is its path.
make_multipath() {
    local sectors holder=
    # For the scripts.
    export by_multipathd=
    sectors=$(blockdev --getsz "/dev/${disks[0]}") || fail "cannot read the size of ${disks[0]}"
    if systemctl -q is-active multipathd 2> /dev/null; then
        until_ok has_holder && holder=$(ls "/sys/block/${disks[0]}/holders")
    fi
    if [ -n "$holder" ]; then
        map=/dev/mapper/$(cat "/sys/block/$holder/dm/name")
        at_exit "multipath -f ${map##*/}"
        by_multipathd=yes
    else
        make_map "$1" "0 $sectors multipath 0 0 1 1 round-robin 0 2 1 /dev/${disks[0]} 1 /dev/${disks[1]} 1"
        map=/dev/mapper/$1
    fi
    dm=$(basename "$(readlink -f "$map")")
    say "$map ($dm) is ${disks[*]}"
}
has_holder() { [ -n "$(ls "/sys/block/${disks[0]}/holders")" ]; }

set_state() { echo "$2" > "/sys/block/$1/device/state"; }
read_at() { dd if="$1" of=/dev/null bs=4096 count=1 skip="$2" iflag=direct status=none 2> /dev/null; }
