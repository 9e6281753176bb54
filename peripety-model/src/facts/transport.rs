//! What is known of the way to a device: iSCSI, Fibre Channel, SAS and other adapters, USB, PCI, networks.

use super::field::section;

section! {
    /// An iSCSI session or connection (drivers/scsi/libiscsi.c, scsi_transport_iscsi.c; iscsid), or one of SRP.
    IscsiFacts {
        /// Number of the session.
        session: u32,
        /// Number of the connection in its session.
        connection: u32,
        /// Error (ISCSI_ERR_*, include/scsi/iscsi_if.h), or a reject's reason code.
        code: u64,
        /// Why, in iscsid's words.
        reason: String,
        /// State of the connection (iscsid).
        conn_state: u32,
        /// Seconds of a time limit that ran out.
        seconds: u64,
        /// Seconds for which the target was silent.
        recv_timeout: u64,
        /// Seconds until the next attempt.
        wait: u64,
        /// Number of the attempt.
        attempt: u32,
        /// How many attempts it took.
        attempts: u32,
        /// Number of the SCSI host.
        host: u32,
        /// Which transport, where it is not iSCSI: `srp`.
        transport: String,
        /// What the kernel's or daemon's line says beyond this.
        message: String,
    }
}

section! {
    /// Fibre Channel (drivers/scsi/scsi_transport_fc.c, lpfc, qla2xxx, libfc).
    FcFacts {
        /// Remote port as sysfs names it: `1:0-3` of `rport-1:0-3`.
        rport: String,
        /// World wide port name.
        wwpn: String,
        /// Address of the port in the fabric (N_Port id).
        nport: String,
        /// Number of the SCSI host.
        host: u32,
        /// Number of the adapter as its driver counts.
        board: u32,
        /// Number of the driver's message.
        code: String,
        /// Unit as drivers name it: host, target, unit.
        nexus: String,
        /// Target id.
        target: u32,
        /// Logical unit.
        lun: u64,
        /// Speed of the link in Gbit/s.
        speed: String,
        /// Mailbox registers, as the driver prints them.
        registers: String,
        /// What is reset, or asked of the fabric.
        kind: String,
        /// How that ended.
        outcome: String,
        /// Status that the driver prints.
        status: String,
        /// What the driver does.
        action: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// A SAS or RAID adapter (mpt3sas, megaraid, smartpqi, hpsa, aacraid …), or one of a hypervisor.
    AdapterFacts {
        /// Name by which the driver calls the adapter: `mpt3sas_cm0`.
        name: String,
        /// Number of the SCSI host.
        host: u32,
        /// Device on the VM bus (storvsc).
        vmbus: String,
        /// Status of the hypervisor's request block (storvsc), in hexadecimal.
        srb_status: String,
        /// NT status of the hypervisor (storvsc), in hexadecimal.
        hv_status: String,
        /// Firmware's log information (mpt3sas).
        log_info: String,
        /// Layer of the firmware that reports it: `IOP`, `PL`, `IR`.
        originator: String,
        /// Its code.
        code: String,
        /// Its sub-code.
        sub_code: String,
        /// Handle of the device in the firmware.
        handle: String,
        /// SAS address, 64 bits in hexadecimal.
        sas_address: String,
        /// Part that a firmware event is about (megaraid).
        locale: String,
        /// How bad the firmware calls it (megaraid): `CRIT`, `FATAL`.
        class: String,
        /// Kind of the firmware's event.
        kind: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// A USB device or its driver (usb-storage, uas).
    UsbFacts {
        /// Port that the device is plugged into: `2-1`.
        port: String,
        /// Number of the SCSI host.
        host: u32,
        /// Tag of the command in the UAS protocol.
        uas_tag: u32,
        /// What the driver's function returned or was called with.
        result: i64,
        /// errno that the driver prints, negative.
        error: i64,
        /// How a reset ended.
        outcome: String,
        /// Speed of the device.
        speed: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// A PCI function or port (drivers/pci/pcie, IOMMU, hot-plug).
    PciFacts {
        /// Address of the function: `0000:02:00.0`.
        function: String,
        /// Driver that has it.
        driver: String,
        /// Whether an uncorrectable error is `Fatal` or `Non-Fatal` (PCIe 5.0, 6.2.2).
        fatal: String,
        /// Layer of the protocol that found it.
        layer: String,
        /// Who found it: `Receiver ID`, `Requester ID`, `Completer ID`, `Transmitter ID`.
        agent: String,
        /// Status register.
        status: u64,
        /// Hot-plug slot.
        slot: String,
        /// Address in memory that the function had no right to.
        address: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// A server or daemon in the network that a filesystem is on (NFS, CIFS, Ceph, Gluster).
    NetFacts {
        /// Name or address of the server.
        server: String,
        /// Daemon of a cluster: `osd12`.
        daemon: String,
        /// Volume of a cluster.
        volume: String,
        /// Seconds without an answer.
        seconds: u64,
        /// What the kernel's or daemon's line says beyond this.
        message: String,
    }
}
