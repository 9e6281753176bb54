#!/bin/bash
# A multipath map of two paths (scsi_debug): one path fails, then the last one, then both come back.
# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

need_root
need_tools modprobe dd blockdev find
need_dm multipath
need_modules dm_round_robin
# One unit with one identity behind two hosts.
make_scsi 2 dev_size_mb=64 num_tgts=1 vpd_use_hostno=0 add_host=2
make_multipath peripety_test_mp
start_peripety

set_state "${disks[0]}" offline
read_at "$map" 1
read_at "$map" 2
expect DM_MPATH_PATH_FAILED "/dev/${disks[0]}" "\"kdev\":\"${disks[0]}\""

set_state "${disks[1]}" offline
read_at "$map" 3
read_at "$map" 4
# Without uevents of device-mapper in the kernel the second failure looks like the first.
expect DM_MPATH_NO_PATH,DM_MPATH_PATH_FAILED "$map"

for disk in "${disks[@]}"; do
    set_state "$disk" running
    [ -n "$by_multipathd" ] || dmsetup message "${map##*/}" 0 "reinstate_path /dev/$disk"
done
expect DM_MPATH_PATH_REINSTATED "/dev/${disks[0]}"
expect DM_MPATH_PATH_REINSTATED "/dev/${disks[1]}"
read_at "$map" 5 || fail "the map does not work again"
conclude
