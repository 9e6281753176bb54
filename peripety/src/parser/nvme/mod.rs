//! NVMe commands that ended with a status, and what controllers report by themselves.

mod aen;

pub(crate) use aen::Aen;
use peripety_common::{Header, nvme_aen::NvmeAen, nvme_rq::NvmeRq, text::until_nul};

use super::{Kdev, RawEvent, kernel::draft};
use crate::{
    block::Dev,
    event::{
        EventType, Io, Op, Severity,
        facts::{AenResult, NvmeFacts, nvme_status as status},
    },
    record::Stamp,
};

/// NVME_REQ_USERCMD of [`NvmeRq::flags`]: a program's own command (drivers/nvme/host/nvme.h).
const REQ_USERCMD: u8 = 1 << 1;
const UNKNOWN_OPCODE: u8 = 0xff;
const ADMIN_ASYNC_EVENT: u8 = 0x0c;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub(crate) enum NvmeFault {
    /// Status code type 2, but for what the host's own checks find.
    Medium = 0x41,
    /// Status code type 3 on a path of a multipath namespace.
    Path,
    /// Anything else.
    Io,
    /// A command to the controller itself.
    Admin,
}

impl NvmeFault {
    /// The event type.
    pub(crate) const fn event_type(self) -> EventType {
        match self {
            Self::Medium => EventType::NVME_MEDIUM_ERROR,
            Self::Path => EventType::NVME_PATH_FAILED,
            Self::Io | Self::Admin => EventType::NVME_IO_ERROR,
        }
    }
}

/// What is wrong with the status of a command; nothing if it is part of normal life: a tool or the driver asks for a
/// feature or a log page that the drive does not have.
pub(crate) fn classify(rq: &NvmeRq) -> Option<NvmeFault> {
    let code = status::code(rq.status);
    if code == 0 {
        return None;
    }
    // Invalid opcode, field, namespace, log page; features that cannot be changed; data sets that cannot be managed.
    let not_supported = matches!(code, 0x001 | 0x002 | 0x00b | 0x105 | 0x109 | 0x10d..=0x10f | 0x180 | 0x181);
    if rq.qid == 0 {
        // Asynchronous event requests end when the controller is reset; aborts may come too late.
        let ended = matches!(code, 0x007 | 0x008 | 0x103 | 0x370 | 0x371) || rq.opcode == ADMIN_ASYNC_EVENT;
        return (!not_supported && !ended && status::sct(rq.status) != 1).then_some(NvmeFault::Admin);
    }
    let reads_or_writes = matches!(rq.opcode, 0x01 | 0x02 | UNKNOWN_OPCODE);
    if not_supported && (rq.flags & REQ_USERCMD != 0 || !reads_or_writes) {
        return None;
    }
    Some(match code {
        // A compare that found a difference did its work; an unwritten block was never written.
        0x285 | 0x287 => NvmeFault::Io,
        0x200..=0x2ff => NvmeFault::Medium,
        // The host takes back its commands when it resets a controller.
        0x370 | 0x371 if !is_path(disk(rq)) => NvmeFault::Io,
        0x300..=0x3ff => NvmeFault::Path,
        _ => NvmeFault::Io,
    })
}

/// A command that ended with a status.
pub(crate) fn request(h: &Header, rq: &NvmeRq, time: Stamp) -> Option<RawEvent> {
    let fault = classify(rq)?;
    let mut raw = draft(h, time, fault.event_type(), kdev(rq));
    if fault == NvmeFault::Admin {
        raw.severity = Severity::Warning;
    }
    raw.io = io(rq);
    raw.facts.nvme = Some(Box::new(facts(rq)));
    Some(raw)
}

/// A controller reports something.
pub(super) fn async_event(h: &Header, aen: &NvmeAen, time: Stamp) -> Option<RawEvent> {
    Some(of_aen(
        draft(h, time, EventType::NVME_ASYNC_EVENT, Kdev::Name(format!("nvme{}", aen.ctrl))),
        aen.result,
    ))
}

/// Fills in what dword 0 of an asynchronous event says.
pub(super) fn of_aen(mut raw: RawEvent, result: u32) -> RawEvent {
    let aen = Aen::decode(result);
    raw.event_type = aen.event_type();
    raw.sub_system = crate::event::SubSystem::known("nvme");
    raw.severity = aen.severity;
    name_aen(&mut raw, result);
    raw
}

/// Adds what dword 0 of an asynchronous event says in words.
pub(super) fn name_aen(raw: &mut RawEvent, result: u32) {
    let aen = Aen::decode(result);
    let nvme = raw.facts.nvme.get_or_insert_default();
    nvme.aen_result = Some(AenResult(result));
    nvme.aen_type = Some(aen.kind_name().to_owned());
    nvme.aen_info = Some(aen.words.to_owned());
    nvme.log_page = Some(aen.log_page);
}

/// The operation of a command.
pub(crate) const fn op(rq: &NvmeRq) -> Op {
    match rq.opcode {
        _ if rq.qid == 0 => Op::Passthrough,
        UNKNOWN_OPCODE => Op::Unknown,
        opcode => match op_of(opcode) {
            Some(op) => op,
            None => Op::Passthrough,
        },
    }
}

/// The operation that an opcode of an I/O queue stands for; none for one that is no request of a filesystem.
pub(crate) const fn op_of(opcode: u8) -> Option<Op> {
    Some(match opcode {
        0x00 => Op::Flush,
        0x01 | 0x7d => Op::Write,
        0x02 | 0x05 => Op::Read,
        0x08 => Op::WriteZeroes,
        0x09 => Op::Discard,
        0x79 | 0x7a => Op::Zone,
        _ => return None,
    })
}

fn io(rq: &NvmeRq) -> Option<Io> {
    // Blocks of a size that the record does not report: the address goes into the extension.
    (rq.qid != 0).then(|| Io { op: op(rq), ..Io::default() })
}

fn disk(rq: &NvmeRq) -> &[u8] {
    until_nul(&rq.disk)
}

/// The name of the disk that a command was for; none if it was for the controller, or if that is one path of several.
pub(crate) fn own_disk(rq: &NvmeRq) -> Option<&str> {
    str::from_utf8(disk(rq)).ok().filter(|name| !name.is_empty() && !is_path(name.as_bytes()))
}

/// Whether a disk's name is that of a path below a multipath namespace: `nvme0c1n1`.
fn is_path(disk: &[u8]) -> bool {
    disk.strip_prefix(b"nvme").is_some_and(|rest| rest.contains(&b'c'))
}

fn kdev(rq: &NvmeRq) -> Kdev {
    let name = disk(rq);
    if is_path(name) || (rq.dev == 0 && !name.is_empty()) {
        Kdev::Name(String::from_utf8_lossy(name).into_owned())
    } else if rq.dev != 0 {
        Kdev::Dev(Dev::from_kernel(rq.dev))
    } else {
        Kdev::Name(format!("nvme{}", rq.ctrl))
    }
}

/// What is known of an NVMe command.
pub(crate) fn facts(rq: &NvmeRq) -> NvmeFacts {
    let known = (rq.opcode != UNKNOWN_OPCODE).then_some(rq.opcode);
    let has_blocks = rq.qid != 0 && rq.slba != u64::MAX;
    let mut facts = NvmeFacts {
        controller: Some(format!("nvme{}", rq.ctrl)),
        qid: Some(rq.qid),
        cid: Some(rq.cid),
        sct: Some(status::sct(rq.status)),
        sc: Some(status::sc(rq.status)),
        dnr: Some(rq.status & status::DNR != 0),
        opcode: known,
        lba: has_blocks.then_some(rq.slba),
        blocks: has_blocks.then(|| u32::from(rq.nlb) + 1),
        nsid: (rq.nsid != 0).then_some(rq.nsid),
        retries: (rq.retries != 0).then_some(rq.retries.into()),
        ..NvmeFacts::default()
    };
    facts.complete();
    facts
}

#[cfg(test)]
pub(crate) mod tests {
    use peripety_common::Kind;

    use super::{
        super::block::tests::{TIME, header},
        *,
    };

    pub(crate) fn rq(disk: &str, qid: u32, opcode: u8, status: u16) -> NvmeRq {
        let mut name = [0; 32];
        name[..disk.len()].copy_from_slice(disk.as_bytes());
        NvmeRq {
            slba: 2048,
            result: 0,
            ctrl: 0,
            dev: if qid == 0 { 0 } else { Dev::new(259, 300).to_kernel() },
            nsid: 1,
            qid,
            cid: 17,
            nlb: 7,
            status,
            retries: 0,
            flags: 0,
            opcode,
            reserved: [0; 5],
            disk: name,
        }
    }

    fn kind(rq: &NvmeRq) -> Option<&'static str> {
        request(&header(Kind::NvmeCompleteRq), rq, TIME)?.event_type.info().map(|i| i.name)
    }

    #[test]
    fn a_medium_error_names_status_and_block() {
        let raw = request(&header(Kind::NvmeCompleteRq), &rq("nvme0n1", 2, 2, 0x4281), TIME).unwrap();
        assert_eq!(raw.event_type, EventType::NVME_MEDIUM_ERROR);
        assert_eq!(raw.kdev.to_text(), "259:300");
        assert_eq!(raw.io.unwrap().op, Op::Read);
        let nvme = raw.facts.nvme.unwrap();
        assert_eq!((nvme.sct, nvme.sc, nvme.dnr), (Some(2), Some(0x81), Some(true)));
        assert_eq!(nvme.status_name.as_deref(), Some("Unrecovered Read Error"));
        assert_eq!((nvme.lba, nvme.blocks), (Some(2048), Some(8)));
    }

    #[test]
    fn a_path_is_named_by_its_hidden_disk() {
        let raw = request(&header(Kind::NvmeCompleteRq), &rq("nvme0c1n1", 1, 1, 0x371), TIME).unwrap();
        assert_eq!((raw.event_type, raw.kdev.to_text().as_str()), (EventType::NVME_PATH_FAILED, "nvme0c1n1"));
        assert_eq!(kind(&rq("nvme0n1", 1, 1, 0x371)), Some("NVME_IO_ERROR"));
        assert_eq!(kind(&rq("nvme0n1", 1, 1, 0x302)), Some("NVME_PATH_FAILED"));
    }

    #[test]
    fn what_is_normal_says_nothing() {
        for benign in [
            rq("", 0, 0x02, 0x4109),
            rq("", 0, 0x06, 0x4002),
            rq("", 0, 0x0a, 0x2),
            rq("", 0, 0xff, 0x4002),
            rq("", 0, 0x0c, 0x7),
            rq("", 0, 0x0c, 0x6),
            rq("nvme0n1", 1, 0x09, 0x4002),
            rq("nvme0n1", 1, 0x08, 0x4001),
            rq("nvme0n1", 1, 0x02, 0x4000),
            NvmeRq { flags: REQ_USERCMD, ..rq("nvme0n1", 1, 0x02, 0x4002) },
        ] {
            assert_eq!(kind(&benign), None, "{benign:?}");
        }
        assert_eq!(kind(&rq("", 0, 0x02, 0x4006)), Some("NVME_IO_ERROR"));
        assert_eq!(kind(&rq("nvme0n1", 1, 0x02, 0x4002)), Some("NVME_IO_ERROR"));
    }

    #[test]
    fn an_asynchronous_event_is_the_controllers() {
        let aen = NvmeAen { ctrl: 2, result: 0x0002_0101 };
        let raw = async_event(&header(Kind::NvmeAsyncEvent), &aen, TIME).unwrap();
        assert_eq!(
            (raw.kdev.to_text().as_str(), raw.event_type.as_str()),
            ("nvme2", "SMART_ATTRIBUTE_WARNING")
        );
        assert_eq!(raw.sub_system.as_str(), "nvme");
        assert_eq!(raw.facts.nvme.unwrap().aen_info.as_deref(), Some("temperature outside its limits"));
    }
}
