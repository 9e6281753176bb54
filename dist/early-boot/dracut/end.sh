#!/bin/sh
/usr/lib/peripety/early-boot/end.sh
