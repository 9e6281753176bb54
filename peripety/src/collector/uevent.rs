//! Uevents of the kernel and of udev.
