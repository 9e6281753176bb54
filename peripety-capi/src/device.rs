//! Block devices.

use std::{
    ffi::{CString, c_char},
    path::Path,
    ptr::null,
};

use peripety_block::{BlkCache, BlkId, BlkInfo, Identity, Roots};
use serde_json::Value;

use crate::{
    call::{self, call},
    error::{Problem, peripety_error},
    text::c_string,
};

/// The block devices of this machine, as they were when they were looked at. It does not change: threads may share it.
#[derive(Debug)]
pub struct peripety_devices {
    cache: BlkCache,
    all: Vec<peripety_device>,
}

/// A block device, what it is made of and what is made of it. It does not change: threads may share it.
#[derive(Debug)]
pub struct peripety_device {
    texts: Vec<CString>,
    mount_points: Vec<CString>,
    json: CString,
    major: u32,
    minor: u32,
    size_bytes: u64,
    is_live: bool,
    below: Vec<peripety_device>,
    above: Vec<peripety_device>,
}

/// What is known of a device as text.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum peripety_device_field {
    /// The path that people use: `/dev/mapper/mpatha`, `/dev/vg/lv`. Never empty.
    PERIPETY_DEVICE_NAME = 0,
    /// The kernel's node: `/dev/dm-0`.
    PERIPETY_DEVICE_NODE = 1,
    /// World wide id; for a loop device the file behind it.
    PERIPETY_DEVICE_WWID = 2,
    /// Kind of device: `scsi`, `nvme`, `partition`, `dm-multipath`, `md` …
    PERIPETY_DEVICE_TYPE = 3,
    /// Serial number.
    PERIPETY_DEVICE_SERIAL = 4,
    /// Vendor.
    PERIPETY_DEVICE_VENDOR = 5,
    /// Model.
    PERIPETY_DEVICE_MODEL = 6,
    /// UUID of the filesystem, or of other content.
    PERIPETY_DEVICE_UUID = 7,
    /// Type of the content: `ext4`, `LVM2_member` …
    PERIPETY_DEVICE_FS_TYPE = 8,
    /// Label of the filesystem.
    PERIPETY_DEVICE_LABEL = 9,
    /// How it is reached: `fc`, `iscsi`, `sas`, `sata`, `nvme`, `usb`, `virtio`.
    PERIPETY_DEVICE_TRANSPORT = 10,
    /// Its address there: H:C:T:L, PCI address, name of a target.
    PERIPETY_DEVICE_TRANSPORT_ID = 11,
    /// Level of an md array: `raid1` …
    PERIPETY_DEVICE_RAID_LEVEL = 12,
}

fn json_text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

impl peripety_device {
    fn of(info: &BlkInfo) -> Self {
        let json = serde_json::to_value(info).unwrap_or_default();
        Self {
            below: info.owners.iter().map(Self::of_id).collect(),
            above: info.holders.iter().map(Self::of_id).collect(),
            ..Self::with(&info.id, &json)
        }
    }

    fn of_id(id: &BlkId) -> Self {
        Self::with(id, &serde_json::to_value(id).unwrap_or_default())
    }

    fn with(id: &BlkId, json: &Value) -> Self {
        let transport = json.get("transport").map(|t| json_text(t, "kind")).unwrap_or_default();
        // In the order of `peripety_device_field`.
        let texts = [
            &id.name(),
            &id.blk_path,
            &id.wwid,
            &json_text(json, "blk_type"),
            &id.serial,
            &id.vendor,
            &id.model,
            &id.uuid,
            &id.fs_type,
            &id.label,
            &transport,
            &id.transport_id,
            &id.raid_level,
        ];
        Self {
            texts: texts.map(|text| c_string(text)).to_vec(),
            mount_points: id.mount_points.iter().map(|point| c_string(point)).collect(),
            json: c_string(&json.to_string()),
            major: id.dev.major,
            minor: id.dev.minor,
            size_bytes: id.size_sectors.unwrap_or_default().bytes(),
            is_live: id.identity == Identity::Live,
            below: Vec::new(),
            above: Vec::new(),
        }
    }
}

fn scan(root: Option<&str>) -> Result<BlkCache, Problem> {
    let roots = root.map_or_else(Roots::system, |root| Roots::under(Path::new(root)));
    Ok(BlkCache::scan(&roots)?)
}

/// Looks at all block devices: reads sysfs, mountinfo and udev's database, and superblocks where there is no udev. `root` is
/// NULL for this machine, or a directory with a copy of another one's `sys`, `proc`, `dev` and `run`.
///
/// NULL, and `*error`, where sysfs cannot be read.
///
/// # Safety
///
/// `root` is NULL or a text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_devices_scan(
    root: *const c_char,
    error: *mut *mut peripety_error,
) -> *mut peripety_devices {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, std::ptr::null_mut(), || {
            let cache = scan(call::optional(root, "root")?)?;
            let all = cache.all().iter().map(|info| peripety_device::of(info)).collect();
            Ok(call::give(peripety_devices { cache, all }))
        })
    }
}

/// How many there are.
///
/// # Safety
///
/// `devices` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_devices_count(devices: *const peripety_devices) -> usize {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { devices.as_ref() }.map(|devices| devices.all.len()))
}

/// One of them, which belongs to `devices`; NULL beyond the last.
///
/// # Safety
///
/// `devices` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_devices_get(
    devices: *const peripety_devices,
    index: usize,
) -> *const peripety_device {
    call::plain(null(), || {
        // SAFETY: as the caller promises.
        unsafe { devices.as_ref() }?.all.get(index).map(std::ptr::from_ref)
    })
}

/// The device that a name leads to: `sda1`, `/dev/mapper/mpatha`, `8:1`, `4:0:0:1`, `UUID=…`, `nvme0:1`, a world wide id in any
/// spelling, a serial number, a mount point, a file on it, the file behind a loop device. It is freed by
/// peripety_device_free().
///
/// # Safety
///
/// `devices` is NULL or not freed; `name` is NULL or a text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_devices_resolve(
    devices: *const peripety_devices,
    name: *const c_char,
    error: *mut *mut peripety_error,
) -> *mut peripety_device {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, std::ptr::null_mut(), || {
            let devices = call::get(devices, "devices")?;
            let info = devices.cache.resolve(call::text(name, "name")?)?;
            Ok(call::give(peripety_device::of(&info)))
        })
    }
}

/// Frees devices. NULL is no harm.
///
/// # Safety
///
/// `devices` is NULL or freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_devices_free(devices: *mut peripety_devices) {
    // SAFETY: as the caller promises.
    unsafe { call::free(devices) }
}

/// Looks at all block devices, and gives the one that a name leads to. For more than one name peripety_devices_scan() is
/// quicker.
///
/// # Safety
///
/// `name` is NULL or a text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_resolve(
    name: *const c_char,
    error: *mut *mut peripety_error,
) -> *mut peripety_device {
    // SAFETY: as the caller promises.
    unsafe {
        call(error, std::ptr::null_mut(), || {
            let name = call::text(name, "name")?;
            let info = scan(None)?.resolve(name)?;
            Ok(call::give(peripety_device::of(&info)))
        })
    }
}

/// Frees a device that was resolved. NULL is no harm.
///
/// # Safety
///
/// `device` is NULL, or was given by one of the two functions that resolve, and is freed for the first time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_free(device: *mut peripety_device) {
    // SAFETY: as the caller promises.
    unsafe { call::free(device) }
}

/// What is known of a device; an empty text for what is not known. `field` is one of peripety_device_field.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_text(
    device: *const peripety_device,
    field: u32,
) -> *const c_char {
    call::plain(c"".as_ptr(), || {
        // SAFETY: as the caller promises.
        let device = unsafe { device.as_ref() }?;
        device.texts.get(usize::try_from(field).ok()?).map(|text| text.as_ptr())
    })
}

/// Everything that is known of a device and of those below and above it, as JSON: `block` in event.schema.json. A device
/// below or above another one has only itself.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_json(device: *const peripety_device) -> *const c_char {
    // SAFETY: as the caller promises.
    call::plain(c"".as_ptr(), || unsafe { device.as_ref() }.map(|device| device.json.as_ptr()))
}

/// Major number.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_major(device: *const peripety_device) -> u32 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { device.as_ref() }.map(|device| device.major))
}

/// Minor number.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_minor(device: *const peripety_device) -> u32 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { device.as_ref() }.map(|device| device.minor))
}

/// Size in bytes; 0 where it is not known.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_size(device: *const peripety_device) -> u64 {
    // SAFETY: as the caller promises.
    call::plain(0, || unsafe { device.as_ref() }.map(|device| device.size_bytes))
}

/// Whether the device is there, or what is reported is remembered.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_is_live(device: *const peripety_device) -> bool {
    // SAFETY: as the caller promises.
    call::plain(false, || unsafe { device.as_ref() }.map(|device| device.is_live))
}

/// Where its filesystem is mounted; NULL beyond the last place.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_mount_point(
    device: *const peripety_device,
    index: usize,
) -> *const c_char {
    call::plain(null(), || {
        // SAFETY: as the caller promises.
        unsafe { device.as_ref() }?.mount_points.get(index).map(|point| point.as_ptr())
    })
}

/// What the device is made of, through partitions, LVM, multipath, md and loop, nearest first; NULL beyond the last. It
/// belongs to `device`.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_below(
    device: *const peripety_device,
    index: usize,
) -> *const peripety_device {
    call::plain(null(), || {
        // SAFETY: as the caller promises.
        unsafe { device.as_ref() }?.below.get(index).map(std::ptr::from_ref)
    })
}

/// What is made of the device, nearest first; NULL beyond the last. It belongs to `device`.
///
/// # Safety
///
/// `device` is NULL or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peripety_device_get_above(
    device: *const peripety_device,
    index: usize,
) -> *const peripety_device {
    call::plain(null(), || {
        // SAFETY: as the caller promises.
        unsafe { device.as_ref() }?.above.get(index).map(std::ptr::from_ref)
    })
}
