//! What is known of the kernel's own code, of tasks, units, uevents, and of a disk's opinion of itself.

use super::field::section;

section! {
    /// Where in the kernel a failure was found, outside of a filesystem.
    KernelFacts {
        /// Function.
        function: String,
        /// Module, as it stands in brackets of a stack trace.
        module: String,
    }
}

section! {
    /// A task that waits, or in which something was found.
    TaskFacts {
        /// Name of the task; with the work that it does, for a worker.
        name: String,
        /// Process id.
        pid: u64,
        /// How long it has been waiting, in seconds.
        seconds: u64,
        /// Name of the process that an error happened in; at most 15 bytes (TASK_COMM_LEN).
        comm: String,
    }
}

section! {
    /// A unit of systemd.
    SystemdFacts {
        /// Path of the device that a device unit is named for.
        device: String,
        /// Path of the mount point that a mount unit is named for.
        mount: String,
        /// Exit status.
        status: i64,
        /// Result of the unit: `exit-code`, `timeout`.
        result: String,
        /// How the job ended: `dependency`, `timeout`.
        job: String,
    }
}

section! {
    /// What a disk says of its own health, by smartd.
    SmartFacts {
        /// How smartd reaches the disk: `SAT`, `megaraid_disk_00`.
        device_type: String,
        /// Critical warnings of an NVMe drive, a bit each (NVM Express base specification 2.0, figure 207).
        critical_warning: u8,
        /// Sectors that are pending or uncorrectable.
        sectors: u64,
        /// By how many they changed.
        change: i64,
        /// Number of the attribute.
        attribute: u32,
        /// Name of the attribute or value.
        name: String,
        /// Value before.
        before: u64,
        /// Errors now.
        errors: u64,
        /// How many of them are new.
        new: u64,
        /// Power-on hour at which it happened.
        hour: u64,
        /// Temperature in degrees Celsius.
        celsius: i64,
        /// Its limit.
        limit: i64,
        /// Mails that smartd sent.
        mails: u64,
        /// What smartd's line says beyond this.
        message: String,
    }
}

section! {
    /// What the kernel says of a device by uevent.
    UeventFacts {
        /// Name of the device (DEVNAME).
        name: String,
        /// `disk` or `partition` (DEVTYPE).
        devtype: String,
        /// Number that no other disk of this boot has (DISKSEQ).
        diskseq: u64,
    }
}
