#!/bin/sh
# Makes a folder with a Debian the root of systemd as process 1: boot.sh ROOT CGROUP. Needs root. Of a command in place of
# systemd, boot.sh ROOT CGROUP COMMAND [ARGUMENT...]: that one has the machine's network, to install packages by.
#
# As in a container, all that is the machine's is out of reach: network, host name, processes and mounts are its own;
# /sys and /proc/sys can only be read, and of the devices there are six. CGROUP is the folder of version 2 that it may
# have. Ends with its parent.
set -eu
root=$1 cgroup=$2
shift 2
net=--net
[ $# = 0 ] || net=
echo $$ >"$cgroup/cgroup.procs"
exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup $net --propagation private sh -eu -c '
root=$1
shift
hostname machine
ip link set lo up
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sys sys
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755,nosuid dev dev
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . mnt
umount -l /mnt
[ $# -gt 0 ] || set -- env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd systemd.unit=multi-user.target
exec "$@"
' boot "$root" "$@"
