#!/bin/sh
/usr/lib/peripety/early-boot/start.sh
