# What the unit's daemon has, how soon it is back after kills, and that nothing starts it once it is stopped. Lines of `key value`.
show() { systemctl show -P "$1" "$2"; }
pid=$(show MainPID peripetyd)
echo "capabilities $(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")"
echo "exposure $(systemd-analyze security --no-pager peripetyd | awk '/Overall exposure/ { print $7 }')"
[ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/1/ns/net)" ] || echo "network own"
for group in 00000001 00000002; do
    awk -v group=$group '$2 == 15 && $4 == group { print "socket:[" $10 "]" }' /proc/net/netlink > /run/sockets
    ls -l "/proc/$pid/fd" | grep -qFf /run/sockets && echo "group $group"
done
for kill in 1 2 3 4 5 6 7 8 9 10 11 12; do
    pid=$(show MainPID peripetyd)
    start=$(date +%s%N)
    kill -KILL "$pid"
    for try in $(seq 200); do
        sleep 0.05
        now=$(show MainPID peripetyd)
        [ "$now" != "$pid" ] && [ "$now" != 0 ] && [ "$(systemctl is-active peripetyd)" = active ] && break
    done
    echo "back $((($(date +%s%N) - start) / 1000000))"
done
echo "socket $(systemctl is-active peripetyd.socket)"
systemctl stop peripetyd
echo change > "/sys/block/$(ls /sys/block | head -n 1)/uevent"
sleep 1
echo "stopped $(systemctl is-active peripetyd) $(systemctl is-active peripetyd.socket)"
systemctl start peripetyd
echo "started $(systemctl is-active peripetyd) $(systemctl is-active peripetyd.socket)"
systemctl poweroff --force --force
