//! Events of a fanotify group that reports file handles (fanotify(7), include/uapi/linux/fanotify.h).

use peripety_model::Errno;

use crate::bytes::{u16_at, u32_at, u64_at};

/// Bit of the mask: a filesystem found an error.
pub const FS_ERROR: u64 = 0x8000;
/// Bit of the mask: events were lost.
pub const OVERFLOW: u64 = 0x4000;

/// One event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub mask: u64,
    /// Id of the filesystem, as statfs(2) has it.
    pub fsid: [u32; 2],
    /// Type of the file handle.
    pub handle_type: i32,
    /// The inode; none where the error is about the whole filesystem.
    pub inode: Option<u64>,
    /// Its generation.
    pub generation: Option<u32>,
    /// errno of the first error; none where the kernel gives none.
    pub errno: Option<Errno>,
    /// How many there were since.
    pub count: u32,
}

const METADATA: usize = 24;
const VERSION: u8 = 3;

/// The events of a buffer that the kernel filled. What cannot be read ends it.
pub fn events(buffer: &[u8]) -> Vec<Event> {
    let mut rest = buffer;
    let mut events = Vec::new();
    while let Some(length) = u32_at(rest, 0).map(|length| length as usize) {
        let Some((event, after)) = rest.split_at_checked(length).filter(|(event, _)| event.len() >= METADATA)
        else {
            break;
        };
        events.extend(decode(event));
        rest = after;
    }
    events
}

fn decode(event: &[u8]) -> Option<Event> {
    if event.get(4) != Some(&VERSION) {
        return None;
    }
    let mut decoded = Event { mask: u64_at(event, 8)?, ..Event::default() };
    let mut rest = event.get(usize::from(u16_at(event, 6)?)..)?;
    while let Some(length) = u16_at(rest, 2).map(usize::from) {
        let Some((record, after)) = rest.split_at_checked(length).filter(|(record, _)| record.len() >= 4)
        else {
            break;
        };
        match record.first() {
            Some(1) => file_handle(record, &mut decoded)?,
            Some(5) => {
                let error = u32_at(record, 4)?.cast_signed();
                let error = error.checked_abs().unwrap_or(i32::MAX);
                decoded.errno = (error != 0).then(|| Errno::from_raw(error));
                decoded.count = u32_at(record, 8)?;
            }
            _ => {}
        }
        rest = after;
    }
    Some(decoded)
}

/// FAN_EVENT_INFO_TYPE_FID: the filesystem's id, then struct file_handle.
fn file_handle(record: &[u8], event: &mut Event) -> Option<()> {
    event.fsid = [u32_at(record, 4)?, u32_at(record, 8)?];
    let length = u32_at(record, 12)? as usize;
    event.handle_type = u32_at(record, 16)?.cast_signed();
    let handle = record.get(20..)?;
    let handle = handle.get(..length.min(handle.len()))?;
    // enum fid_type (include/linux/exportfs.h) and fs/xfs/xfs_export.h.
    (event.inode, event.generation) = match event.handle_type {
        1 | 2 => (u32_at(handle, 0).map(u64::from), u32_at(handle, 4)),
        0x81 | 0x82 => (u64_at(handle, 0), u32_at(handle, 8)),
        // btrfs: the inode, the tree that it is in, the generation.
        0x4d..=0x4f => (u64_at(handle, 0), u32_at(handle, 16)),
        _ => (None, None),
    };
    event.inode = event.inode.filter(|inode| *inode != 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event as the kernel makes it: metadata, a record with the handle, a record with the error.
    fn event(handle_type: i32, handle: &[u8], errno: i32, count: u32) -> Vec<u8> {
        let handle_record = 20 + handle.len();
        let length = METADATA + handle_record + 12;
        let mut raw = Vec::new();
        raw.extend(u32::try_from(length).unwrap().to_ne_bytes());
        raw.extend([VERSION, 0]);
        raw.extend(24_u16.to_ne_bytes());
        raw.extend(FS_ERROR.to_ne_bytes());
        raw.extend((-1_i32).to_ne_bytes());
        raw.extend(77_i32.to_ne_bytes());
        raw.extend([1, 0]);
        raw.extend(u16::try_from(handle_record).unwrap().to_ne_bytes());
        raw.extend(0xaaaa_u32.to_ne_bytes());
        raw.extend(0xbbbb_u32.to_ne_bytes());
        raw.extend(u32::try_from(handle.len()).unwrap().to_ne_bytes());
        raw.extend(handle_type.to_ne_bytes());
        raw.extend(handle);
        raw.extend([5, 0]);
        raw.extend(12_u16.to_ne_bytes());
        raw.extend(errno.to_ne_bytes());
        raw.extend(count.to_ne_bytes());
        raw
    }

    fn bytes(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    #[test]
    fn an_error_names_filesystem_inode_and_errno() {
        let mut raw = event(1, &bytes(&[12, 99]), 117, 3);
        raw.extend(event(0x81, &[7_u64.to_ne_bytes().to_vec(), bytes(&[5])].concat(), 5, 1));
        raw.extend(event(255, &[], 108, 1));
        let found = events(&raw);
        let first = Event {
            mask: FS_ERROR,
            fsid: [0xaaaa, 0xbbbb],
            handle_type: 1,
            inode: Some(12),
            generation: Some(99),
            errno: Some(Errno::EUCLEAN),
            count: 3,
        };
        assert_eq!(found[0], first);
        assert_eq!(
            (found[1].inode, found[1].generation, found[1].errno),
            (Some(7), Some(5), Some(Errno::EIO))
        );
        assert_eq!((found[2].inode, found[2].errno), (None, Some(Errno::ESHUTDOWN)));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_is_cut_off_ends_it() {
        let raw = event(1, &bytes(&[12, 99]), 117, 3);
        for length in 0..raw.len() {
            assert!(events(&raw[..length]).is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..300), handle_type: i32, cut in 0_usize..80) {
            events(&bytes);
            let mut raw = event(handle_type, &bytes[..bytes.len().min(40)], 5, 1);
            raw.extend(&bytes);
            events(&raw[cut.min(raw.len())..]);
            for at in [6, 26, 36] {
                let mut raw = raw.clone();
                if let (Some(place), Some(byte)) = (raw.get_mut(at), bytes.first()) {
                    *place = *byte;
                }
                events(&raw);
            }
        }
    }
}
