#!/bin/bash
# A SCSI disk (scsi_debug) with a medium error at block 0x1234, then one that is taken offline.
# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

need_root
need_tools modprobe dd blockdev find
make_scsi 1 dev_size_mb=64 opts=2
disk=/dev/${disks[0]}
start_peripety

# scsi_debug fails reads of sectors 0x1234 to 0x123d.
dd if="$disk" of=/dev/null bs=512 count=1 skip=$((0x1234)) iflag=direct status=none 2> /dev/null &&
    fail "a read of the bad sector succeeded"
expect SCSI_MEDIUM_ERROR "$disk" '"sector":4660' "\"kdev\":\"${disks[0]}\""

# Not every kernel lets an offline disk be opened.
exec 3< "$disk" || fail "cannot open $disk"
set_state "${disks[0]}" offline
dd of=/dev/null bs=512 count=1 skip=8 iflag=direct status=none <&3 2> /dev/null &&
    fail "a read of the offline disk succeeded"
exec 3<&-
set_state "${disks[0]}" running
expect SCSI_DEVICE_OFFLINED,BLK_DEVICE_OFFLINE,BLK_IO_ERROR,SCSI_TRANSPORT_ERROR "$disk"
conclude
