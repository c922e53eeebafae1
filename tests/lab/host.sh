# SPDX-License-Identifier: GPL-2.0-or-later
# Functions for scripts on a lab host; read before each of them (lab.py).
set -euo pipefail

# Waits for a condition: wait_for SECONDS COMMAND...
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || {
            echo "lab: not in time: $*" >&2
            return 1
        }
        sleep 0.1
    done
}

# sanlock as on a hypervisor, with a host name that stays the same. Without
# a watchdog: a test that fences says so itself.
start_sanlock() {
    mkdir -p /run/sanlock /etc/sanlock
    : >/etc/sanlock/sanlock.conf
    sanlock daemon -w 0 -h 0 -U root -G root -e "$(hostname)" "$@"
    wait_for 20 sanlock client status
}

start_libvirtd() {
    mkdir -p /run/libvirt /etc/libvirt
    rm -rf /etc/libvirt/qemu/networks/autostart
    cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
END
    printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n' \
        >/etc/libvirt/libvirtd.conf
    libvirtd -d
    wait_for 60 virsh -c qemu:///system version
}

# Exports a directory to the other host, which mounts HOST:/ by NFS 4.2 (the
# root itself, an overlay, cannot be exported), and directories in it, each a
# file system: start_nfs_server DIRECTORY [DIRECTORY/NAME...]
start_nfs_server() {
    modprobe nfsd
    mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
    mkdir -p /run/rpcbind /var/lib/nfs/v4recovery
    # No client of another test is waited for.
    echo 10 >/proc/fs/nfsd/nfsv4gracetime
    rpcbind
    local id=0
    for directory; do
        exportfs -o "rw,no_root_squash,no_subtree_check,fsid=$id" "*:$directory"
        id=$((id + 1))
    done
    rpc.nfsd -N 3 4
    rpc.mountd
}

stop_nfs_server() {
    rpc.nfsd 0
    exportfs -ua
    pkill -x rpc.mountd
    pkill -x rpcbind
}
