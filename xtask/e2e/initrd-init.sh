#!/bin/busybox sh
# First process of the initial RAM disk: drivers, then the root file system, which is read-only and shared by all guests.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" || echo "@@FAIL insmod $module"; done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 1; done
mount -t ext4 -o ro,noload /dev/vda /root || { echo "@@FAIL no root file system"; exec sh; }
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount --move /dev /root/dev
umount /proc /sys
exec switch_root /root /sbin/guest.sh
