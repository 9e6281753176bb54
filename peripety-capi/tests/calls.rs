//! The functions as C calls them, on a made-up machine, and with everything that a caller can do wrong.

#![expect(unsafe_code, reason = "these are functions of C")]
#![expect(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, reason = "each call is the test")]

use std::{
    ffi::{CStr, CString, c_char},
    ptr::{null, null_mut},
};

use peripety_block::fixture::{LUN, Tree};
use peripety_capi::*;

fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
}

/// Takes the error out of its place.
fn taken(error: *mut peripety_error) -> (peripety_error_kind, String) {
    let of = unsafe { (peripety_error_get_kind(error), text(peripety_error_get_message(error))) };
    unsafe { peripety_error_free(error) };
    of
}

#[test]
fn null_in_every_place_is_an_error_or_nothing() {
    unsafe {
        let mut error = null_mut();
        assert!(peripety_devices_resolve(null(), c"sda".as_ptr(), &mut error).is_null());
        assert_eq!(taken(error), (peripety_error_kind::PERIPETY_ERROR_ARGUMENT, "devices is NULL".into()));
        assert!(peripety_resolve(null(), &mut error).is_null());
        assert_eq!(taken(error).1, "name is NULL");
        assert!(peripety_resolve(null(), null_mut()).is_null());
        assert!(peripety_ask(null(), null(), null(), null(), &mut error).is_null());
        assert_eq!(taken(error).1, "request is NULL");
        assert_eq!(peripety_options_set(null_mut(), null(), null(), &mut error), -1);
        assert_eq!(taken(error).1, "options is NULL");
        assert_eq!(
            peripety_stream_next(null_mut(), null_mut(), &mut error),
            peripety_next::PERIPETY_NEXT_ERROR
        );
        assert_eq!(taken(error).1, "item is NULL");
        let mut item = null_mut();
        assert_eq!(
            peripety_stream_wait(null_mut(), 0, &mut item, &mut error),
            peripety_next::PERIPETY_NEXT_ERROR
        );
        assert_eq!(taken(error).1, "stream is NULL");
        assert_eq!(peripety_devices_count(null()), 0);
        assert!(peripety_devices_get(null(), 0).is_null());
        assert_eq!(text(peripety_device_get_text(null(), 0)), "");
        assert_eq!(text(peripety_device_get_json(null())), "");
        assert_eq!(peripety_device_get_major(null()) + peripety_device_get_minor(null()), 0);
        assert_eq!(peripety_device_get_size(null()), 0);
        assert!(!peripety_device_is_live(null()));
        assert!(peripety_device_get_mount_point(null(), 0).is_null());
        assert!(
            peripety_device_get_below(null(), 0).is_null() && peripety_device_get_above(null(), 0).is_null()
        );
        assert_eq!(peripety_stream_get_fd(null()), -1);
        assert_eq!(peripety_item_get_kind(null()), peripety_item_kind::PERIPETY_ITEM_NONE);
        assert_eq!(peripety_item_get_severity(null()), -1);
        assert_eq!(text(peripety_item_get_text(null())) + &text(peripety_item_get_json(null())), "");
        assert!(peripety_item_get(null(), null()).is_null());
        assert!(!peripety_item_get_number(null(), null(), null_mut()));
        assert_eq!(text(peripety_item_get_cursor(null())), "");
        assert_eq!(peripety_item_get_sequence(null()), 0);
        assert_eq!(peripety_item_get_dropped(null()) + peripety_item_get_missed(null()), 0);
        assert_eq!(taken(null_mut()), (peripety_error_kind::PERIPETY_ERROR_NONE, String::new()));
        peripety_devices_free(null_mut());
        peripety_device_free(null_mut());
        peripety_options_free(null_mut());
        peripety_stream_free(null_mut());
        peripety_item_free(null_mut());
        peripety_string_free(null_mut());
    }
}

#[test]
fn a_made_up_machine_is_read_as_it_is() {
    let machine = Tree::new();
    let host = "devices/pci0000:00/0000:00:1f.2/host0/target0:0:0";
    machine.scsi(host, "0:0:0:0", "sda", "8:0", 1);
    machine.partition(&format!("{host}/0:0:0:0/block/sda"), 1, "8:1");
    machine.mounts(&["22 1 8:1 / /srv rw - ext4 /dev/sda1 rw"]);
    let root = CString::new(machine.0.path().to_str().unwrap()).unwrap();
    unsafe {
        let mut error = null_mut();
        let devices = peripety_devices_scan(root.as_ptr(), &mut error);
        assert!(error.is_null() && !devices.is_null());
        assert_eq!(peripety_devices_count(devices), 2);
        assert!(peripety_devices_get(devices, 2).is_null());
        for name in [c"sda1", c"8:1", c"/srv"] {
            let device = peripety_devices_resolve(devices, name.as_ptr(), &mut error);
            assert!(error.is_null(), "{name:?}: {:?}", taken(error));
            let field = |field: peripety_device_field| text(peripety_device_get_text(device, field as u32));
            assert_eq!(field(peripety_device_field::PERIPETY_DEVICE_NODE), "/dev/sda1");
            assert_eq!(field(peripety_device_field::PERIPETY_DEVICE_TYPE), "partition");
            assert_eq!((peripety_device_get_major(device), peripety_device_get_minor(device)), (8, 1));
            assert!(peripety_device_is_live(device));
            assert_eq!(text(peripety_device_get_mount_point(device, 0)), "/srv");
            assert!(peripety_device_get_mount_point(device, 1).is_null());
            let disk = peripety_device_get_below(device, 0);
            let wwid = peripety_device_get_text(disk, peripety_device_field::PERIPETY_DEVICE_WWID as u32);
            assert_eq!(text(wwid), LUN);
            assert!(peripety_device_get_below(device, 1).is_null());
            assert!(text(peripety_device_get_json(device)).contains("\"owners\":[{"));
            // A field of a later version.
            assert_eq!(text(peripety_device_get_text(device, 9999)), "");
            peripety_device_free(device);
        }
        assert!(peripety_devices_resolve(devices, c"sdb".as_ptr(), &mut error).is_null());
        assert_eq!(taken(error).0, peripety_error_kind::PERIPETY_ERROR_UNKNOWN_DEVICE);
        assert!(peripety_devices_resolve(devices, c"\xff".as_ptr(), &mut error).is_null());
        assert_eq!(taken(error), (peripety_error_kind::PERIPETY_ERROR_ARGUMENT, "name is not UTF-8".into()));
        peripety_devices_free(devices);
        assert!(peripety_devices_scan(c"/nowhere".as_ptr(), &mut error).is_null());
        assert_eq!(taken(error).0, peripety_error_kind::PERIPETY_ERROR_SYSTEM);
    }
}

#[test]
fn options_say_what_is_wrong_with_them() {
    unsafe {
        let options = peripety_options_new();
        let mut error = null_mut();
        let mut set = |name: &CStr, value: &CStr| {
            let result = peripety_options_set(options, name.as_ptr(), value.as_ptr(), &mut error);
            (result != 0).then(|| taken(error).1)
        };
        for (name, value) in [
            (c"severity", c"err"),
            (c"device", c"sd*"),
            (c"type", c"SCSI_*"),
            (c"impact", c"data_lost"),
            (c"incidents", c"yes"),
            (c"source", c"socket"),
            (c"start", c"stored"),
            (c"after", c"daemon:00ff:12:34"),
            (c"socket", c"/nowhere/peripety.sock"),
        ] {
            assert_eq!(set(name, value), None, "{name:?}");
        }
        for (name, value, says) in [
            (c"severity", c"bad", "'bad' is no severity"),
            (c"impact", c"bad", "'bad' is not possible"),
            (c"events", c"maybe", "use yes or no"),
            (c"source", c"net", "auto, socket or journal"),
            (c"after", c"12", "is no cursor"),
            (c"colour", c"red", "there is no option 'colour'"),
        ] {
            let said = set(name, value).unwrap();
            assert!(said.contains(says), "{said}");
        }
        assert!(peripety_stream_open(options, &mut error).is_null());
        let (kind, said) = taken(error);
        assert_eq!(kind, peripety_error_kind::PERIPETY_ERROR_NO_DAEMON, "{said}");
        assert!(said.contains("/nowhere/peripety.sock"), "{said}");
        peripety_options_free(options);
    }
}
