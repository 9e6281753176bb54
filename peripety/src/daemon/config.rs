//! `/etc/peripetyd.conf` and `/etc/peripetyd.conf.d/*.conf`.
