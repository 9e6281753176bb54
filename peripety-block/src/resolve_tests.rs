//! Every form of name, names that mean nothing, and names that mean too much.

use super::{
    super::fixture::{HOST3, LUN, Tree, multipath},
    *,
};

fn dev(cache: &BlkCache, name: &str) -> String {
    cache.resolve(name).map(|info| info.id.dev.to_string()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn every_form_of_name_leads_to_its_device() {
    let cache = multipath().scan();
    for (name, expected) in [
        ("8:16", "8:16"),
        (" 8:16\n", "8:16"),
        ("0x800010", "8:16"),
        ("8388624", "8:16"),
        ("2064", "8:16"),
        ("0xfd0012c", "253:300"),
        ("1113388", "253:300"),
        ("sdb", "8:16"),
        ("sdaa", "65:160"),
        ("/dev/sdb", "8:16"),
        ("dm-300", "253:300"),
        ("3:0:0:1", "8:16"),
        ("mpatha", "253:0"),
        ("mapper/mpatha", "253:0"),
        ("/dev/mapper/vg0-root--lv", "253:300"),
        ("vg0-root--lv", "253:300"),
        ("vg0/root-lv", "253:300"),
        ("/dev/vg0/root-lv", "253:300"),
        ("disk/by-uuid/0a1b2c3d-1111-4222-8333-444455556666", "253:300"),
        ("0a1b2c3d-1111-4222-8333-444455556666", "253:300"),
        ("0A1B2C3D-1111-4222-8333-444455556666", "253:300"),
        ("UUID=0a1b2c3d-1111-4222-8333-444455556666", "253:300"),
        ("uuid=\"0a1b2c3d-1111-4222-8333-444455556666\"", "253:300"),
        ("aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg", "253:1"),
        ("LABEL=my data", "253:300"),
        ("my data", "253:300"),
        ("/srv/my data", "253:300"),
        ("/srv/my data/", "253:300"),
        ("/bind", "253:300"),
        // Two paths and the map over them have this id.
        (LUN, "253:0"),
        ("360014005aa0000000000000000000001", "253:0"),
        ("0x60014005aa0000000000000000000001", "253:0"),
        ("wwn-0x60014005aa0000000000000000000001", "253:0"),
        ("mpath-360014005aa0000000000000000000001", "253:0"),
        ("part1-mpath-360014005aa0000000000000000000001", "253:1"),
    ] {
        assert_eq!(dev(&cache, name), expected, "{name:?}");
    }
}

#[test]
fn a_name_that_is_wrong_is_told_why_and_what_to_do() {
    let cache = multipath().scan();
    for (name, message) in [
        ("", "the name of a block device is empty"),
        (
            "sdc",
            "no block device is called 'sdc' (tried as kernel name, path below /dev, map name, label), did you mean sdb?",
        ),
        ("8:99", "no block device is called '8:99' (tried as device number)"),
        ("SN-0001", "'SN-0001' names several block devices: /dev/sdb, /dev/sdaa; say which"),
    ] {
        assert_eq!(cache.resolve(name).unwrap_err().to_string(), message);
    }
    for name in [
        "/nowhere/at/all",
        "nvme0",
        "nvme0:x",
        "0xzz",
        "UUID=",
        "LABEL=",
        "=",
        ":",
        "../x",
        "/",
        "99999999999999999999",
        "\0",
        "é",
        "1:2:3:4:5",
    ] {
        let error = cache.resolve(name).map(|info| info.id.dev).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.len() < 300, "{name:?}: {error}");
    }
}

#[test]
fn a_controller_is_told_from_its_namespaces() {
    let cache = Tree::new().scan();
    let error = cache.resolve("nvme0").unwrap_err();
    assert!(matches!(error, ResolveError::Controller { .. }), "{error}");
}

#[test]
fn an_encoded_number_that_fits_both_ways_is_the_kernels() {
    // 8:16 to the kernel is 8388624; as st_rdev that number would be 0:2064 … and none is there.
    let tree = Tree::new();
    tree.scsi(HOST3, "3:0:0:1", "sdb", "8:16", 1);
    tree.disk("devices/virtual/block/x", "1:66348", 2);
    tree.disk("devices/virtual/block/y", "259:300", 3);
    let cache = tree.scan();
    assert_eq!(dev(&cache, "1114924"), "1:66348");
    tree.remove("devices/virtual/block/x");
    assert_eq!(dev(&tree.scan(), "1114924"), "259:300");
    assert_eq!(dev(&tree.scan(), "0x1030012c"), "259:300");
}

#[test]
fn the_distance_of_names_is_counted_in_changes() {
    for (a, b, changes) in
        [("sda", "sda", 0), ("sda", "sdb", 1), ("", "abc", 3), ("mpatha", "mpath", 1), ("vg", "gv", 2)]
    {
        assert_eq!(distance(a, b), changes, "{a} {b}");
        assert_eq!(distance(b, a), changes, "{b} {a}");
    }
}
