#!/bin/sh
# node-namespace.sh FOLDER IMAGE ADDRESS: becomes a node without a machine, as process 1 of namespaces of
# its own (mount, network, pid, uts, ipc, cgroup). IMAGE is the squashfs of an image; FOLDER holds what the
# boot server would send: overlay.tar, secrets.tar, and boot, which goes to /run/rolecall/boot.
# node-namespace.sh FOLDER remove: takes away its cgroup when its processes are gone.
set -eu
folder=$1 image=$2 address=${3:-}

mount --make-rprivate /
# The namespace of cgroups shows less of the host's one tree; its root would still be the host's. In there two
# nodes would share the cgroup of each service, and what one leaves, frozen or full of BPF programs, would
# wait for the next.
if [ ! -e "$folder/cgroup" ] || [ "$image" = remove ]; then
  mkdir -p "$folder/cgroup"
  mount -t cgroup2 cgroup2 "$folder/cgroup"
  own=$folder/cgroup/${folder##*/}
  if [ "$image" = remove ]; then
    [ ! -e "$own" ] || find "$own" -depth -type d -exec rmdir {} +
    exit
  fi
  mkdir "$own"
  echo 0 >"$own/cgroup.procs"
  umount "$folder/cgroup"
  exec unshare --cgroup sh "$0" "$@"
fi
mkdir "$folder/ram"
mount -t tmpfs -o mode=0755 tmpfs "$folder/ram"
cd "$folder/ram"
mkdir ro changes work root
mount -t squashfs -o loop,ro "$image" ro
mount -t overlay -o lowerdir=ro,upperdir=changes,workdir=work overlay root
for tar in overlay secrets; do
  tar -x -p -f "$folder/$tar.tar" -C root
done
if [ -f root/.rolecall/remove ]; then
  while IFS= read -r path; do
    rm -rf "root$path"
  done <root/.rolecall/remove
  rm -rf root/.rolecall
fi
# There is no card here that could come online, and no terminal.
for unit in systemd-networkd-wait-online console-getty; do
  ln -sf /dev/null root/etc/systemd/system/$unit.service
done

mount -t proc proc root/proc
mount -t sysfs sysfs root/sys
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs root/run
mkdir -p root/run/rolecall
cp "$folder/boot" root/run/rolecall/boot

mount -t tmpfs -o mode=0755 tmpfs root/dev
for device in null zero full random urandom tty; do
  : >root/dev/$device
  mount --bind /dev/$device root/dev/$device
done
mkdir root/dev/pts root/dev/shm root/dev/mqueue root/dev/hugepages
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts root/dev/pts
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
ln -s /run/systemd/journal/dev-log root/dev/log
: >root/dev/console

ip link set lo up
ip address add "$address/32" dev lo

cd root
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=rolecall-test /sbin/init
