#!/bin/bash
# Puts peripetyd into an initramfs of dracut, where it was asked for:
#   echo 'add_dracutmodules+=" peripety "' > /etc/dracut.conf.d/peripety.conf && dracut --force

check() {
    require_binaries /usr/sbin/peripetyd || return 1
    # Only when somebody asks for it.
    return 255
}

depends() {
    echo base
}

install() {
    inst_multiple /usr/sbin/peripetyd cat mkdir mount readlink rm grep sleep
    inst_multiple -o /etc/peripetyd.conf /etc/peripetyd.conf.d/*.conf
    inst_multiple /usr/lib/peripety/early-boot/start.sh /usr/lib/peripety/early-boot/end.sh
    # Hooks are read by the shell that runs them: these only call.
    # shellcheck disable=SC2154
    inst_hook pre-trigger 10 "$moddir/start.sh"
    # shellcheck disable=SC2154
    inst_hook cleanup 10 "$moddir/end.sh"
}
