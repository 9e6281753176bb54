//! The reading end of a BPF ring buffer (kernel/bpf/ringbuf.c).
//!
//! Reading and giving room back are two steps: a record's room is given back when what followed from it is written down, so
//! that a daemon that is killed in between reads it again (promise 1). aya's reader gives back each record as it is read.
//!
//! The map is three parts: a page with the consumer's position, ours to write; a page with the producer's position; the
//! data, which the kernel has twice in a row, so that a record that wraps is still one slice. As much of the second copy is mapped
//! as the longest record needs: all that is mapped counts as memory of the daemon. Positions count bytes and never wrap.

use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence},
};

use aya::maps::{Map, MapData, MapError};
use peripety_common::RECORD_MAX;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bits and size of a record's header: `BPF_RINGBUF_BUSY_BIT`, `_DISCARD_BIT`, `_HDR_SZ` (include/uapi/linux/bpf.h).
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: usize = 8;
/// What is mapped of the second copy, at least: a multiple of every page size is made of it.
const TAIL: usize = 4096;
const _: () = assert!(RECORD_MAX <= TAIL, "a record that wraps is not mapped as a whole");

/// Why a map cannot be read as a ring.
#[derive(Debug, thiserror::Error)]
pub(super) enum RingError {
    /// It is no ring buffer, or cannot be asked.
    #[error(transparent)]
    Map(#[from] MapError),
    /// Its memory cannot be mapped.
    #[error("cannot map the ring buffer's {what}: {source}")]
    Mmap {
        /// Which part.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A ring, as its one reader sees it.
pub(super) struct Ring {
    map: MapData,
    id: u32,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    mask: usize,
    /// Up to here it was read.
    read: usize,
    /// Up to here room was given back.
    committed: usize,
}

impl Ring {
    /// Maps a ring; reading goes on where its last reader gave room back.
    ///
    /// # Errors
    /// When the map is no ring, or the system does not let it be mapped.
    pub(super) fn new(map: Map) -> Result<Self, RingError> {
        let data = match map {
            Map::RingBuf(data) => data,
            _ => return Err(MapError::InvalidMapType { map_type: 0 }.into()),
        };
        let info = data.info()?;
        let bytes = info.max_entries() as usize;
        let page = rustix::param::page_size();
        let tail = TAIL.next_multiple_of(page).min(bytes);
        let fd = data.fd().as_fd();
        let consumer = Mapping::new(fd, 0, page, ProtFlags::READ | ProtFlags::WRITE)
            .map_err(|source| RingError::Mmap { what: "consumer page", source })?;
        let producer = Mapping::new(fd, page, page + bytes + tail, ProtFlags::READ)
            .map_err(|source| RingError::Mmap { what: "data", source })?;
        let committed = consumer.position().load(Ordering::Acquire);
        Ok(Self {
            map: data,
            id: info.id(),
            consumer,
            producer,
            page,
            mask: bytes - 1,
            read: committed,
            committed,
        })
    }

    /// The kernel's number of the map: another ring has another one.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// The next record that is not yet read; none while there is none, or while the kernel still writes it.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let produced = self.producer.position().load(Ordering::Acquire);
            if self.read == produced {
                return None;
            }
            let (len, start) = self.header()?;
            self.read = self.read.wrapping_add((len & !DISCARD) as usize + HEADER).next_multiple_of(8);
            if len & DISCARD == 0 {
                return Some(self.data(start, len as usize));
            }
        }
    }

    /// Where reading has come to; to be handed to [`Ring::skip_to`] after a restart.
    pub(super) const fn position(&self) -> u64 {
        self.read as u64
    }

    /// Takes the last record back, which began at this position: it will be the next.
    pub(super) const fn put_back(&mut self, position: u64) {
        self.read = position as usize;
    }

    /// Where writing has come to.
    pub(super) fn produced(&self) -> u64 {
        self.producer.position().load(Ordering::Acquire) as u64
    }

    /// Leaves out what another reader has read, whose room it could not give back any more.
    pub(super) fn skip_to(&mut self, position: u64) {
        let produced = self.producer.position().load(Ordering::Acquire);
        let ahead = (position as usize).wrapping_sub(self.read);
        if ahead <= produced.wrapping_sub(self.read) {
            self.read = position as usize;
        }
    }

    /// Gives back the room of what was read. Whether there is more to read, for which no wake-up will come: the kernel
    /// wakes only a reader that had given back everything.
    pub(super) fn commit(&mut self) -> bool {
        if self.committed != self.read {
            self.committed = self.read;
            self.consumer.position().store(self.read, Ordering::Release);
        }
        // Either the kernel sees the new position and wakes us, or we see its record.
        fence(Ordering::SeqCst);
        let produced = self.producer.position().load(Ordering::Acquire);
        self.read != produced && self.header().is_some()
    }

    /// Length with its bits, and place, of the record at the position of reading; none while the kernel writes it.
    fn header(&self) -> Option<(u32, usize)> {
        let place = self.read & self.mask;
        // SAFETY: the producer is ahead, so a header stands here, 8 bytes aligned, inside of the first copy of the data.
        let header = unsafe { self.producer.at(self.page + place).cast::<AtomicU32>().as_ref() };
        let len = header.load(Ordering::Acquire);
        // A length that is not mapped as a whole is not believed.
        let fits = (len & !DISCARD) as usize <= TAIL.min(self.mask + 1 - HEADER);
        (len & BUSY == 0 && fits).then_some((len, place + HEADER))
    }

    fn data(&self, start: usize, len: usize) -> &[u8] {
        // SAFETY: `header` has checked the length against what is mapped of the second copy of the data, which makes it one slice, and the kernel does not write to it before its room is given back.
        unsafe { slice::from_raw_parts(self.producer.at(self.page + start).as_ptr().cast(), len) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Memory shared with the kernel.
struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: it is memory of the process, not of a thread, and is only touched through its owner.
unsafe impl Send for Mapping {}
// SAFETY: positions are atomics, data is read only.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: usize, len: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at a place of the kernel's choice; nothing else refers to it.
        let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, fd, offset as u64)? };
        let start = NonNull::new(start).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, len })
    }

    /// The position at the mapping's start.
    fn position(&self) -> &AtomicUsize {
        // SAFETY: both mappings begin with a page that holds an unsigned long.
        unsafe { self.start.cast().as_ref() }
    }

    /// # Safety
    /// `offset` lies in the mapping.
    const unsafe fn at(&self, offset: usize) -> NonNull<c_void> {
        // SAFETY: as above.
        unsafe { self.start.byte_add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, and no reference into it outlives its owner.
        let _cannot_fail = unsafe { munmap(self.start.as_ptr(), self.len) };
    }
}
