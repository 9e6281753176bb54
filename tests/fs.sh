#!/bin/bash
# ext4, xfs and btrfs on a disk that fails below them (device-mapper's error target on a loop device).
# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

need_root
need_tools losetup blockdev dd
need_dm linear error
make_dir
start_peripety

# What each tells when its disk is gone.
declare -A told=(
    [ext4]="FS_JOURNAL_ABORTED,FS_IO_ERROR,FS_ERROR,FS_REMOUNT_READ_ONLY,FS_SHUTDOWN"
    [xfs]="FS_SHUTDOWN"
    [btrfs]="FS_IO_ERROR,FS_JOURNAL_ABORTED,FS_REMOUNT_READ_ONLY"
)
declare -A size=([ext4]=64 [xfs]=320 [btrfs]=160)
tried=0

for fs in ext4 xfs btrfs; do
    if ! command -v "mkfs.$fs" > /dev/null; then
        say "skipped $fs: there is no mkfs.$fs"
        continue
    fi
    modprobe -q "$fs" 2> /dev/null
    if ! grep -qw "$fs" /proc/filesystems; then
        say "skipped $fs: this kernel has no $fs"
        continue
    fi
    make_loop "${size[$fs]}"
    sectors=$(blockdev --getsz "$loop")
    map=peripety_test_$fs
    make_map "$map" "0 $sectors linear $loop 0"
    mkfs."$fs" -q "/dev/mapper/$map" || fail "mkfs.$fs does not work"
    mkdir "$dir/$fs"
    settle
    at_exit "umount '$dir/$fs' || umount -l '$dir/$fs'"
    mount -t "$fs" "/dev/mapper/$map" "$dir/$fs" || fail "cannot mount $fs"
    dd if=/dev/zero of="$dir/$fs/before" bs=64k count=4 conv=fsync status=none
    settle
    sleep 1

    dmsetup suspend --noflush --nolockfs "$map" && dmsetup load "$map" --table "0 $sectors error"
    dmsetup resume "$map" || fail "cannot let $map fail"
    dd if=/dev/zero of="$dir/$fs/after" bs=64k count=16 conv=fsync status=none 2> /dev/null
    sync -f "$dir/$fs" 2> /dev/null
    expect "${told[$fs]}" "/dev/mapper/$map" "\"sub_system\":\"(jbd2|$fs)\"" "\"$dir/$fs\""
    tried=$((tried + 1))
done
[ $tried -gt 0 ] || skip "none of ext4, xfs and btrfs is here"
conclude
