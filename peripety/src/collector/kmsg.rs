//! The kernel's text from /dev/kmsg.
