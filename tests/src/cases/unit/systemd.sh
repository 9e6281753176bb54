# systemd as process 1 of namespaces of its own, with the unit and nothing else. Given: directory of the programs, directory of the
# unit, where to write.
set -eu
bin=$1 dist=$2 out=$3
mount --make-rprivate /
cp "$bin/peripetyd" "$out/peripetyd"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cp "$out/peripetyd" /run/peripetyd
sed "s,/usr/sbin/peripetyd,/run/peripetyd," "$dist/peripetyd.service" > /run/systemd/system/peripetyd.service
cp "$dist/peripetyd.socket" /run/systemd/system
cat > /run/systemd/system/check.target <<X
[Unit]
DefaultDependencies=no
Wants=check.service peripetyd.service
X
cat > /run/systemd/system/check.service <<X
[Unit]
DefaultDependencies=no
After=peripetyd.service
[Service]
Type=oneshot
ExecStart=/bin/sh $out/check.sh
StandardOutput=append:$out/told
StandardError=append:$out/told
X
export container=other
exec /lib/systemd/systemd --system --unit=check.target --log-target=null
