#!/bin/busybox sh
# First program of a machine: mounts the root, brings in modules and what is to be tested, and hands over to systemd.
b=/bin/busybox
$b mkdir -p /proc /sys /dev /root
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk ext4 crc32c_generic; do
    $b modprobe $module 2>/dev/null
done
n=0
until [ -b /dev/vda ]; do
    n=$((n + 1)); [ $n -gt 100 ] && { echo "no root disk"; $b poweroff -f; }
    $b usleep 100000
done
$b mount -t ext4 /dev/vda /root || { echo "cannot mount the root"; $b poweroff -f; }
$b mkdir -p /root/usr/lib/modules
$b mount -t tmpfs modules /root/usr/lib/modules
$b cp -a /lib/modules/. /root/usr/lib/modules/
$b cp -af /payload/. /root/
$b umount /proc
$b umount /sys
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
