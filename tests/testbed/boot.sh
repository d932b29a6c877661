#!/bin/sh
# Starts one machine: in namespaces of its own, a root of layers over the shared one, then its SSH server.
# In: BASE, FOLDER, NAME, SHARED (paths, a line each), VARIABLES (for logins), FAULT (what is wrong with it, or nothing).
set -eu
root="$FOLDER/root"
mkdir -p "$FOLDER/upper" "$FOLDER/work" "$root"
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229"; do
    set -- $device
    mknod -m 666 "$root/dev/$1" c "$2" "$3"
done
echo "$SHARED" | while IFS= read -r path; do
    [ -n "$path" ] || continue
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
    # The way there must be open to the machine's user, whoever owns it outside.
    parent=$(dirname "$path")
    while [ "$parent" != / ]; do
        chmod a+rx "$root$parent"
        parent=$(dirname "$parent")
    done
done
hostname "$NAME"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$NAME" > "$root/etc/hosts"
: > "$root/etc/resolv.conf"
mkdir -p "$root/run/sshd"
case "$FAULT" in
mute) exec sleep infinity ;;
unpulled)
    cat > "$root/usr/bin/docker" << 'END'
#!/bin/sh
[ "$1" = pull ] || exit 0
echo "Error response from daemon: pull access denied for $2, repository does not exist" >&2
exit 1
END
    chmod 755 "$root/usr/bin/docker"
    ;;
esac
exec chroot "$root" /usr/sbin/sshd -D -e -o UsePAM=no -o PasswordAuthentication=no -o "SetEnv=$VARIABLES"
