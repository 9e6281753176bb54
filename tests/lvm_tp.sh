#!/bin/bash
# A thin pool of LVM (on a loop device) runs full below a thin volume.
# shellcheck source=tests/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

need_root
need_tools losetup dd pvcreate vgcreate lvcreate lvchange
need_dm thin-pool linear
make_loop 200
# LVM shall look at nothing but the loop device, shall not extend the pool, and keep no copy of what it makes.
vg=peripety_test_tp
lvm=(--config "devices { use_devicesfile=0 filter=[\"a|^$loop\$|\",\"r|.*|\"] global_filter=[\"a|^$loop\$|\",\"r|.*|\"] }
    activation { monitoring=0 thin_pool_autoextend_threshold=100 } global { thin_check_executable=\"\" }
    backup { backup=0 archive=0 }")
make_group $vg "$loop"
quietly lvcreate -q -y "${lvm[@]}" --type thin-pool -Zn -L 64M -n pool $vg ||
    fail "lvcreate of a thin pool does not work"
quietly lvchange -q -y "${lvm[@]}" --errorwhenfull y $vg/pool || fail "lvchange of a thin pool does not work"
quietly lvcreate -q -y "${lvm[@]}" -T -V 256M -n thin $vg/pool || fail "lvcreate of a thin volume does not work"
settle
pool=/dev/mapper/$vg-pool-tpool
start_peripety

dd if=/dev/zero of=/dev/mapper/$vg-thin bs=64k count=2048 oflag=direct status=none 2> /dev/null &&
    fail "the pool took more than it has"
expect DM_THIN_POOL_OUT_OF_DATA "$pool" '"severity":"critical"'
expect BLK_NO_SPACE,BLK_IO_ERROR /dev/mapper/$vg-thin
conclude
