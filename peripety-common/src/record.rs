//! A whole record, read back.

use crate::{
    block_bio::BlockBio,
    block_rq::BlockRq,
    console::Console,
    ext4::{Ext4Error, Ext4Shutdown},
    header::{Header, Kind, VERSION},
    nvme_aen::NvmeAen,
    nvme_rq::NvmeRq,
    scsi_cmd::ScsiCmd,
    scsi_eh::ScsiEh,
    slow::SlowRq,
    wb_err::WbErr,
    xfs::XfsShutdown,
};

/// Bytes of the largest payload.
const LARGEST: usize = size_of::<WbErr>();

/// Bytes of the longest record.
pub const RECORD_MAX: usize = Header::SIZE + LARGEST;

/// A record of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRecord {
    /// When, where, and of what kind.
    pub header: Header,
    /// What it says.
    pub payload: Payload,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// A request that failed.
    BlockRq(BlockRq),
    /// A bio that failed.
    BlockBio(BlockBio),
    /// A SCSI command that did not simply succeed.
    ScsiDone(ScsiCmd),
    /// A SCSI command that timed out.
    ScsiTimeout(ScsiCmd),
    /// A SCSI host in error handling.
    ScsiEh(ScsiEh),
    /// An NVMe command with a status.
    NvmeRq(NvmeRq),
    /// An NVMe asynchronous event.
    NvmeAen(NvmeAen),
    /// Kernel text.
    Console(Console),
    /// ext4 error.
    Ext4Error(Ext4Error),
    /// ext4 shutdown.
    Ext4Shutdown(Ext4Shutdown),
    /// xfs shutdown.
    XfsShutdown(XfsShutdown),
    /// Lost writeback.
    WbErr(WbErr),
    /// Requests that took long.
    SlowRq(SlowRq),
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than the header, or than the header or the kind says.
    TooShort {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        want: usize,
    },
    /// A kind that this version does not know.
    UnknownKind(u16),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort { have, want } => write!(f, "a record of {have} bytes where {want} are needed"),
            Self::UnknownKind(kind) => write!(f, "a record of the unknown kind {kind}"),
        }
    }
}

impl core::error::Error for DecodeError {}

impl KernelRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are fewer than header or kind say, or when the kind is unknown. Bytes past the known
    /// fields belong to a newer version and are left alone.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let too_short = |want| DecodeError::TooShort { have: bytes.len(), want };
        let header = Header::decode(bytes).ok_or(too_short(Header::SIZE))?;
        let len = usize::from(header.len);
        let payload = bytes.get(Header::SIZE..len).ok_or(too_short(len.max(Header::SIZE)))?;
        let kind = Kind::from_number(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;

        // What an older program did not write yet is 0.
        let mut padded;
        let payload = if header.version < VERSION && payload.len() < LARGEST {
            padded = [0; LARGEST];
            for (known, byte) in padded.iter_mut().zip(payload) {
                *known = *byte;
            }
            padded.as_slice()
        } else {
            payload
        };

        macro_rules! payload {
            ($variant:ident, $type:ty) => {
                <$type>::decode(payload)
                    .map(Payload::$variant)
                    .ok_or(too_short(Header::SIZE + size_of::<$type>()))?
            };
        }
        let payload = match kind {
            Kind::BlockRqError | Kind::BlockRqComplete => payload!(BlockRq, BlockRq),
            Kind::BlockBioComplete => payload!(BlockBio, BlockBio),
            Kind::ScsiDone => payload!(ScsiDone, ScsiCmd),
            Kind::ScsiTimeout => payload!(ScsiTimeout, ScsiCmd),
            Kind::ScsiEhWakeup => payload!(ScsiEh, ScsiEh),
            Kind::NvmeCompleteRq => payload!(NvmeRq, NvmeRq),
            Kind::NvmeAsyncEvent => payload!(NvmeAen, NvmeAen),
            Kind::Console => payload!(Console, Console),
            Kind::Ext4Error => payload!(Ext4Error, Ext4Error),
            Kind::Ext4Shutdown => payload!(Ext4Shutdown, Ext4Shutdown),
            Kind::XfsForceShutdown => payload!(XfsShutdown, XfsShutdown),
            Kind::FilemapSetWbErr => payload!(WbErr, WbErr),
            Kind::BlockRqSlow => payload!(SlowRq, SlowRq),
        };
        Ok(Self { header, payload })
    }

    /// Gives the record's bytes to `put`, piece by piece: what [`Self::decode`] reads, with the length that they have.
    pub fn encode(&self, put: &mut dyn FnMut(&[u8])) {
        macro_rules! payload {
            ($($variant:ident)*) => {
                match &self.payload {
                    $(Payload::$variant(payload) => {
                        let len = (Header::SIZE + size_of_val(payload)) as u16;
                        Header { len, ..self.header }.encode(put);
                        payload.encode(put);
                    })*
                }
            };
        }
        payload!(BlockRq BlockBio ScsiDone ScsiTimeout ScsiEh NvmeRq NvmeAen Console Ext4Error Ext4Shutdown XfsShutdown WbErr SlowRq);
    }

    /// The hook that made it.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.header.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: Kind, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.number().to_ne_bytes());
        bytes.extend((len as u16).to_ne_bytes());
        bytes.extend([VERSION, 0]);
        bytes.extend(3u16.to_ne_bytes());
        bytes.extend(7u64.to_ne_bytes());
        bytes.extend(1_000_000u64.to_ne_bytes());
        bytes
    }

    fn block_rq() -> Vec<u8> {
        let mut bytes = header(Kind::BlockRqError, Header::SIZE + size_of::<BlockRq>());
        bytes.extend(2048u64.to_ne_bytes());
        bytes.extend(0x0070_0001u32.to_ne_bytes());
        bytes.extend(5i32.to_ne_bytes());
        bytes.extend(8u32.to_ne_bytes());
        bytes.extend(0x800u32.to_ne_bytes());
        bytes.extend((-1i32).to_ne_bytes());
        bytes.extend([0, 10, 0, 0]);
        bytes
    }

    #[test]
    fn a_record_reads_back_field_by_field() {
        let record = KernelRecord::decode(&block_rq()).unwrap();
        assert_eq!(record.kind(), Some(Kind::BlockRqError));
        assert_eq!((record.header.cpu, record.header.seq, record.header.mono_ns), (3, 7, 1_000_000));
        let Payload::BlockRq(rq) = record.payload else { panic!("{record:?}") };
        assert_eq!((rq.sector, rq.dev, rq.errno, rq.nr_sectors), (2048, 0x0070_0001, 5, 8));
        assert_eq!((rq.tag, rq.op, rq.status), (-1, 0, 10));
    }

    #[test]
    fn every_cut_is_refused_and_nothing_panics() {
        let whole = block_rq();
        for cut in 0..whole.len() {
            assert!(
                matches!(KernelRecord::decode(&whole[..cut]), Err(DecodeError::TooShort { .. })),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        let mut bytes = block_rq();
        bytes[2..4].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert!(matches!(KernelRecord::decode(&bytes), Err(DecodeError::TooShort { .. })));
        bytes[2..4].copy_from_slice(&3u16.to_ne_bytes());
        assert!(matches!(KernelRecord::decode(&bytes), Err(DecodeError::TooShort { .. })));
    }

    #[test]
    fn a_newer_and_longer_record_is_read_as_far_as_it_is_known() {
        let mut bytes = block_rq();
        let len = bytes.len() + 8;
        bytes[2..4].copy_from_slice(&(len as u16).to_ne_bytes());
        bytes.extend([0xaa; 8]);
        assert!(KernelRecord::decode(&bytes).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = KernelRecord::decode(&bytes);
        }

        #[test]
        fn any_payload_of_any_kind_is_decoded_or_refused(kind in 0u16..16, payload: Vec<u8>) {
            let mut bytes = header(Kind::Console, Header::SIZE + payload.len());
            bytes[0..2].copy_from_slice(&kind.to_ne_bytes());
            bytes.extend(payload);
            let _ = KernelRecord::decode(&bytes);
        }

        #[test]
        fn what_is_encoded_decodes_to_the_same(
            kind in 0..Kind::ALL.len() as u16,
            payload in proptest::collection::vec(proptest::num::u8::ANY, 1024),
        ) {
            let mut bytes = header(Kind::Console, Header::SIZE + payload.len());
            bytes[0..2].copy_from_slice(&kind.to_ne_bytes());
            bytes.extend(payload);
            let record = KernelRecord::decode(&bytes).unwrap();
            let mut encoded = Vec::new();
            record.encode(&mut |piece| encoded.extend_from_slice(piece));
            let again = KernelRecord::decode(&encoded).unwrap();
            assert_eq!(usize::from(again.header.len), encoded.len());
            assert_eq!(KernelRecord { header: Header { len: record.header.len, ..again.header }, ..again }, record);
        }
    }
}
