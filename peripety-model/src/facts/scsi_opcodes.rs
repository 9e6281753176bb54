//! Names of SCSI's operation codes.

#[rustfmt::skip]
static OPCODES: &[(u8, &str)] = &[
    (0x00, "TEST UNIT READY"), (0x03, "REQUEST SENSE"), (0x04, "FORMAT UNIT"), (0x08, "READ(6)"), (0x0a, "WRITE(6)"),
    (0x12, "INQUIRY"), (0x15, "MODE SELECT(6)"), (0x1a, "MODE SENSE(6)"), (0x1b, "START STOP UNIT"),
    (0x1c, "RECEIVE DIAGNOSTIC"), (0x1d, "SEND DIAGNOSTIC"), (0x1e, "PREVENT ALLOW MEDIUM REMOVAL"),
    (0x25, "READ CAPACITY(10)"), (0x28, "READ(10)"), (0x2a, "WRITE(10)"), (0x2e, "WRITE AND VERIFY(10)"),
    (0x2f, "VERIFY(10)"), (0x35, "SYNCHRONIZE CACHE(10)"), (0x3b, "WRITE BUFFER"), (0x3c, "READ BUFFER"),
    (0x41, "WRITE SAME(10)"), (0x42, "UNMAP"), (0x43, "READ TOC"), (0x48, "SANITIZE"),
    (0x4a, "GET EVENT STATUS NOTIFICATION"), (0x4d, "LOG SENSE"), (0x55, "MODE SELECT(10)"), (0x5a, "MODE SENSE(10)"),
    (0x5e, "PERSISTENT RESERVE IN"), (0x5f, "PERSISTENT RESERVE OUT"), (0x7f, "READ or WRITE(32)"),
    (0x85, "ATA PASS-THROUGH(16)"), (0x88, "READ(16)"), (0x89, "COMPARE AND WRITE"), (0x8a, "WRITE(16)"),
    (0x8e, "WRITE AND VERIFY(16)"), (0x8f, "VERIFY(16)"), (0x91, "SYNCHRONIZE CACHE(16)"), (0x93, "WRITE SAME(16)"),
    (0x94, "ZONE MANAGEMENT OUT"), (0x95, "ZONE MANAGEMENT IN"), (0x9c, "WRITE ATOMIC(16)"),
    (0x9e, "SERVICE ACTION IN(16)"), (0xa0, "REPORT LUNS"), (0xa1, "ATA PASS-THROUGH(12)"), (0xa3, "MAINTENANCE IN"),
    (0xa4, "MAINTENANCE OUT"), (0xa8, "READ(12)"), (0xaa, "WRITE(12)"), (0xae, "WRITE AND VERIFY(12)"),
    (0xaf, "VERIFY(12)"),
];

/// Name of an operation code; none for one that is not known.
pub(super) fn name(opcode: u8) -> Option<&'static str> {
    OPCODES.iter().find(|row| row.0 == opcode).map(|row| row.1)
}

/// The operation code that sd prints by name: `Synchronize Cache(10)`, `Start/Stop Unit`.
pub(super) fn opcode_of(text: &str) -> Option<u8> {
    let letters = |text: &str| text.replace('/', " ").to_ascii_uppercase();
    let wanted = letters(text.trim());
    OPCODES.iter().find(|row| row.1 == wanted).map(|row| row.0)
}
