//! Images made by the real tools, and blkid's opinion of them.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    process::Command,
};

use super::*;

/// Start and end of a file.
fn ends(path: &Path) -> (Vec<u8>, Vec<u8>, u64) {
    let mut file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut head = Vec::new();
    (&mut file).take(HEAD as u64).read_to_end(&mut head).unwrap();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL as u64))).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    (head, tail, size)
}

/// A sparse file with what `tool` makes of it; none (with a word) when the tool is not here.
fn made_by(dir: &Path, tool: &str, args: &[&str], megabytes: u64) -> Option<std::path::PathBuf> {
    let path = dir.join(tool.replace('/', "_"));
    File::create(&path).unwrap().set_len(megabytes << 20).unwrap();
    match Command::new(tool).args(args).arg(&path).output() {
        Ok(output) if output.status.success() => Some(path),
        Ok(output) => panic!("{tool}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("skipped {tool}: {error}");
            None
        }
    }
}

#[test]
fn filesystems_made_by_the_real_tools_are_known() {
    const UUID: &str = "0a1b2c3d-1111-4222-8333-444455556666";
    let dir = tempfile::tempdir().unwrap();
    for (tool, args, megabytes, fs_type) in [
        ("mkfs.ext2", vec!["-q", "-F", "-U", UUID, "-L", "label"], 8, "ext2"),
        ("mkfs.ext3", vec!["-q", "-F", "-U", UUID, "-L", "label"], 8, "ext3"),
        ("mkfs.ext4", vec!["-q", "-F", "-U", UUID, "-L", "label"], 8, "ext4"),
        (
            "mkfs.xfs",
            vec!["-q", "-f", "-m", "uuid=0a1b2c3d-1111-4222-8333-444455556666", "-L", "label"],
            320,
            "xfs",
        ),
        ("mkfs.btrfs", vec!["-q", "-f", "-U", UUID, "-L", "label"], 128, "btrfs"),
        ("mkfs.f2fs", vec!["-q", "-f", "-U", UUID, "-l", "label"], 64, "f2fs"),
        ("mkswap", vec!["-q", "-U", UUID, "-L", "label"], 8, "swap"),
    ] {
        let Some(path) = made_by(dir.path(), tool, &args, megabytes) else { continue };
        let (head, tail, size) = ends(&path);
        let found = identify(&head, &tail, size).unwrap_or_else(|| panic!("{tool}: nothing found"));
        assert_eq!(
            (found.fs_type.as_str(), found.uuid.as_str(), found.label.as_str()),
            (fs_type, UUID, "label"),
            "{tool}"
        );
        for cut in [0, 1, 1023, 1024, 1100, 4096, 65536, 65600] {
            // A short read must never be more than no answer.
            let _ = identify(&head[..cut.min(head.len())], &[], size);
        }
    }
}

#[test]
fn a_physical_volume_of_lvm_is_known() {
    let mut head = vec![0; HEAD];
    head[512..520].copy_from_slice(b"LABELONE");
    head[532..536].copy_from_slice(&32u32.to_le_bytes());
    head[536..544].copy_from_slice(b"LVM2 001");
    head[544..576].copy_from_slice(b"abcdefGHIJklmnOPQRstuvWXYZ012345");
    let found = identify(&head, &[], 1 << 30).unwrap();
    assert_eq!(found.fs_type, "LVM2_member");
    assert_eq!(found.uuid, "abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345");
}

#[test]
fn luks_is_known_in_both_versions() {
    let mut head = vec![0; HEAD];
    head[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    head[24..30].copy_from_slice(b"secret");
    head[168..204].copy_from_slice(b"0a1b2c3d-1111-4222-8333-444455556666");
    let found = identify(&head, &[], 1 << 30).unwrap();
    assert_eq!((found.fs_type.as_str(), found.label.as_str()), ("crypto_LUKS", "secret"));
    assert_eq!(found.uuid, "0a1b2c3d-1111-4222-8333-444455556666");
    head[7] = 1;
    assert_eq!(identify(&head, &[], 1 << 30).unwrap().label, "");
}

#[test]
fn members_of_md_arrays_are_known_for_every_place_of_the_superblock() {
    let uuid: Vec<u8> = (1..=16).collect();
    let size: u64 = (64 << 20) + 3 * 512;
    let sb = |version: u32| {
        let mut sb = vec![0; 4096];
        sb[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
        sb[4..8].copy_from_slice(&version.to_le_bytes());
        sb
    };
    let place = |at: u64, sb: &[u8]| {
        let (mut head, mut tail) = (vec![0; HEAD], vec![0; TAIL]);
        let (area, start) =
            if at < HEAD as u64 { (&mut head, at) } else { (&mut tail, at - (size - TAIL as u64)) };
        let start = usize::try_from(start).unwrap();
        area[start..start + sb.len()].copy_from_slice(sb);
        identify(&head, &tail, size)
    };
    let mut new = sb(1);
    new[16..32].copy_from_slice(&uuid);
    new[32..38].copy_from_slice(b"host:0");
    for at in [0, 4096, ((size / 512 - 16) & !7) * 512] {
        let found = place(at, &new).unwrap_or_else(|| panic!("superblock at {at}"));
        assert_eq!((found.fs_type.as_str(), found.label.as_str()), ("linux_raid_member", "host:0"));
        assert_eq!(found.uuid, "01020304-0506-0708-090a-0b0c0d0e0f10");
    }
    let mut old = sb(0);
    old[20..24].copy_from_slice(&uuid[..4]);
    old[52..64].copy_from_slice(&uuid[4..]);
    let found = place((size & !0xffff) - 0x1_0000, &old).unwrap();
    assert_eq!(found.uuid, "01020304-0506-0708-090a-0b0c0d0e0f10");
}

#[test]
fn fat_has_its_serial_as_uuid() {
    let mut head = vec![0; HEAD];
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    head[82..90].copy_from_slice(b"FAT32   ");
    head[67..71].copy_from_slice(&[0x3d, 0x2c, 0x1b, 0x0a]);
    head[71..82].copy_from_slice(b"EFI        ");
    let found = identify(&head, &[], 1 << 30).unwrap();
    assert_eq!(
        (found.fs_type.as_str(), found.uuid.as_str(), found.label.as_str()),
        ("vfat", "0A1B-2C3D", "EFI")
    );
}

#[test]
fn zeros_and_noise_are_nothing() {
    assert_eq!(identify(&[], &[], 0), None);
    assert_eq!(identify(&vec![0; HEAD], &vec![0; TAIL], 1 << 30), None);
    assert_eq!(identify(&vec![0xff; HEAD], &vec![0xff; TAIL], 1 << 30), None);
    assert_eq!(identify(&vec![0xff; HEAD], &[], u64::MAX), None);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(head in proptest::collection::vec(proptest::num::u8::ANY, 0..9000), size: u64) {
        let _ = identify(&head, &head, size);
    }
}
