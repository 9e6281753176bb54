#!/bin/bash
# ext4 and xfs on LVM on a multipath map of two paths (scsi_debug): all paths fail below the mounted filesystems. Their
# events name the volume, and below it the map and its paths.
# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

need_root
need_tools modprobe dd blockdev find pvcreate vgcreate lvcreate mkfs.ext4 mkfs.xfs
need_dm multipath linear
need_modules dm_round_robin ext4 xfs
make_dir
make_scsi 2 dev_size_mb=448 num_tgts=1 vpd_use_hostno=0 add_host=2
make_multipath peripety_test_mp

# LVM shall look at nothing but the map, and keep no copy of what it makes.
vg=peripety_test_vg
lvm=(--config "devices { use_devicesfile=0 filter=[\"a|^$map\$|\",\"r|.*|\"] global_filter=[\"a|^$map\$|\",\"r|.*|\"] }
    backup { backup=0 archive=0 }")
make_group $vg "$map"
for volume in "100M ext4" "320M xfs"; do
    quietly lvcreate -q -y "${lvm[@]}" -L "${volume% *}" -n "${volume#* }" $vg || fail "lvcreate does not work"
done
settle
start_peripety

for fs in ext4 xfs; do
    mkfs.$fs -q "/dev/mapper/$vg-$fs" || fail "mkfs.$fs does not work"
    mkdir "$dir/$fs"
    settle
    at_exit "umount '$dir/$fs' || umount -l '$dir/$fs'"
    mount -t $fs "/dev/mapper/$vg-$fs" "$dir/$fs" || fail "cannot mount $fs"
    dd if=/dev/zero of="$dir/$fs/before" bs=64k count=4 conv=fsync status=none
done
settle
sleep 1

for disk in "${disks[@]}"; do set_state "$disk" offline; done
for fs in ext4 xfs; do
    dd if=/dev/zero of="$dir/$fs/after" bs=64k count=16 conv=fsync status=none 2> /dev/null &
    writers+=($!)
done
# A path that fails for good is found by the requests that use it.
expect DM_MPATH_PATH_FAILED,DM_MPATH_NO_PATH "$map"
[ -z "$by_multipathd" ] || dmsetup message "${map##*/}" 0 fail_if_no_path
wait "${writers[@]}"
for fs in ext4 xfs; do sync -f "$dir/$fs" 2> /dev/null; done
expect FS_JOURNAL_ABORTED,FS_IO_ERROR,FS_ERROR,FS_REMOUNT_READ_ONLY,FS_SHUTDOWN "/dev/mapper/$vg-ext4" \
    "\"$dir/ext4\"" "\"/dev/$dm\"|\"$map\"" "\"/dev/${disks[0]}\""
expect FS_SHUTDOWN "/dev/mapper/$vg-xfs" "\"$dir/xfs\"" "\"/dev/$dm\"|\"$map\"" "\"/dev/${disks[1]}\""
for disk in "${disks[@]}"; do set_state "$disk" running; done
conclude
