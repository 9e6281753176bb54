#!/bin/sh
# Ends the peripetyd of the initramfs before the root is switched. Killed it leaves all it knows to its successor at once; asked to
# end it would wait for a journal that is not there.

pid=$(cat /run/peripety/early-boot.pid 2> /dev/null) || exit 0
rm -f /run/peripety/early-boot.pid
# Nothing else may have got its number since.
[ "$(readlink "/proc/$pid/exe" 2> /dev/null)" = /usr/sbin/peripetyd ] || exit 0
kill -KILL "$pid"
n=0
while [ -d "/proc/$pid" ] && [ "$n" -lt 50 ]; do
    # It is gone when it is nobody's child any more, or a dead one of init.
    grep -q '^State:.Z' "/proc/$pid/status" 2> /dev/null && break
    sleep 0.1
    n=$((n + 1))
done
exit 0
