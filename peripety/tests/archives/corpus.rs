//! Hostile archives, the same at each run.

use std::io::Write as _;

use crate::writer::{BLOCK, Writer};

/// An archive, and what it tries.
pub struct Hostile {
    pub what: String,
    pub bytes: Vec<u8>,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All of them; `outside` is a directory that none may reach.
pub fn all(outside: &str) -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |what: String, bytes: Vec<u8>| all.push(Hostile { what, bytes });
    links(outside, &mut add);
    names(outside, &mut add);
    clashes(&mut add);
    special(&mut add);
    sizes(&mut add);
    sparse(&mut add);
    extensions(outside, &mut add);
    bombs(&mut add);
    broken(&mut add);
    all
}

type Add<'a> = dyn FnMut(String, Vec<u8>) + 'a;

/// Links of both kinds, to places in, above and outside, in each place of a report, written through and over.
fn links(outside: &str, add: &mut Add<'_>) {
    let long = format!("{}x", "a/".repeat(2100));
    let targets: Vec<String> = vec![
        outside.into(),
        format!("{outside}/canary"),
        format!("{}{outside}", "../".repeat(24)),
        format!("/proc/self/root{outside}"),
        format!("../../../../../../../../proc/self/cwd/../{outside}"),
        "/".into(),
        "..".into(),
        "../..".into(),
        ".".into(),
        String::new(),
        "a".into(),
        "b".into(),
        "/dev/zero".into(),
        "/proc/self/fd/0".into(),
        "nowhere".into(),
        long,
    ];
    for home in ["var/log", "sys/devices/block/a", "sys/class/block", "run/udev/data"] {
        for kind in [b'2', b'1'] {
            for target in &targets {
                let mut tar = Writer::default();
                tar.entry(format!("{home}/a").as_bytes(), kind, target.as_bytes(), b"");
                tar.entry(format!("{home}/messages").as_bytes(), kind, target.as_bytes(), b"");
                // Through it, over it, and links upon it.
                for below in ["a/pwned", "a/messages", "a/dev", "a/canary", "a", "messages"] {
                    tar.file(&format!("{home}/{below}"), b"pwned\n");
                }
                tar.link(&format!("{home}/b"), "a").link(&format!("{home}/c"), "b/..");
                tar.entry(format!("{home}/d").as_bytes(), b'1', format!("{home}/c").as_bytes(), b"");
                tar.file(&format!("{home}/d/messages"), b"pwned\n");
                tar.file(&format!("{home}/b/messages"), b"pwned\n");
                add(format!("links: {home} kind {} to {target:.60}", char::from(kind)), tar.done());
            }
        }
    }
    // A link that is laid through an earlier one lands higher than its text says.
    for depth in 1..=12 {
        let deep: String = (1..=depth).map(|n| format!("/{n}")).collect();
        let base = "sys/devices/block/a";
        let mut tar = Writer::default();
        tar.link(&format!("{base}{deep}/up"), &["..", ""].join("/").repeat(depth));
        tar.link(&format!("{base}{deep}/up/x"), &format!("{}{outside}", "../".repeat(depth + 2)));
        tar.file(&format!("{base}/x/pwned"), b"pwned\n")
            .file(&format!("{base}{deep}/up/x/pwned"), b"pwned\n");
        add(format!("links through links, depth {depth}"), tar.done());
    }
    let mut tar = Writer::default();
    for n in 0..200 {
        tar.link(&format!("sys/class/block/l{n}"), &format!("l{}", (n + 1) % 200));
    }
    add("a loop of 200 links".into(), tar.done());
    let mut tar = Writer::default();
    for n in 0..60 {
        // Each doubles the way.
        tar.link(&format!("sys/class/block/l{n}"), &format!("l{0}/../l{0}", n + 1));
    }
    tar.link("sys/class/block/l60", "../../devices/block/a");
    add("links whose way doubles".into(), tar.done());
}

fn names(outside: &str, add: &mut Add<'_>) {
    let absolute = format!("{outside}/messages");
    let up = format!("{}{outside}/messages", "../".repeat(30));
    let long = format!("{}/messages", "n".repeat(256));
    let deep = format!("{}messages", "d/".repeat(80));
    let huge = format!("{}messages", "e/".repeat(40_000));
    let names: [&[u8]; 22] = [
        absolute.as_bytes(),
        up.as_bytes(),
        b"../messages",
        b"var/../../messages",
        b"var/log/../../../messages",
        b"/../messages",
        b"./../messages",
        b"",
        b".",
        b"./",
        b"..",
        b"/",
        b"//messages",
        b"var//log///messages",
        b"messages/",
        b"\xff\xfe/messages",
        b"var/log/messages\xff",
        b"\x1b[2J\x07/messages",
        b"var/log/messages\n\rroot",
        long.as_bytes(),
        deep.as_bytes(),
        huge.as_bytes(),
    ];
    for name in names {
        let shown = String::from_utf8_lossy(name).into_owned();
        let mut tar = Writer::default();
        tar.entry(name, b'0', b"", b"pwned\n").entry(name, b'5', b"", b"").entry(name, b'0', b"", b"again\n");
        add(format!("name {shown:.60}"), tar.done());
        let mut tar = Writer::default();
        tar.pax(&[("path", name)]).file("harmless", b"pwned\n");
        tar.pax(&[("path", &[b"sys/devices/block/", name].concat())]).file("harmless", b"pwned\n");
        add(format!("name by pax {shown:.60}"), tar.done());
    }
    let mut tar = Writer::default();
    tar.pax(&[("path", b"var/log/mess\0ages")])
        .file("x", b"pwned\n")
        .long(b'L', b"var/log/a\0/../messages\0");
    tar.file("x", b"pwned\n");
    add("names with a zero byte".into(), tar.done());
}

fn clashes(add: &mut Add<'_>) {
    let kinds: [(u8, &[u8]); 4] = [(b'0', b"x\n"), (b'5', b""), (b'2', b""), (b'1', b"")];
    for place in ["sys/devices/block/a/dev", "var/log/messages", "basic-environment.txt"] {
        for (first, first_data) in kinds {
            for (second, second_data) in kinds {
                let mut tar = Writer::default();
                tar.entry(place.as_bytes(), first, b"sys", first_data);
                tar.entry(place.as_bytes(), second, b"..", second_data);
                tar.file(&format!("{place}/below"), b"x\n").file(&format!("{place}/messages"), b"x\n");
                add(
                    format!("clash at {place}: {} and {}", char::from(first), char::from(second)),
                    tar.done(),
                );
            }
        }
    }
    let mut tar = Writer::default();
    for name in ["VAR/log/messages", "var/LOG/messages", "var/log/Messages", "Var/Log/Messages", "VAR"] {
        tar.file(name, b"x\n");
    }
    add("names that differ in case alone".into(), tar.done());
}

fn special(add: &mut Add<'_>) {
    for kind in [b'3', b'4', b'6', b'7', b'D', b'M', b'N', b'V', b'A', b's', 0xff] {
        for name in
            ["var/log/messages", "sys/devices/block/a/dev", "proc/mounts", "var/log/journal/x.journal"]
        {
            let mut tar = Writer::default();
            let device = |h: &mut [u8]| h[329..345].copy_from_slice(b"0000001\x000000005\0");
            // Of these the standard says that there are no data.
            if b"346".contains(&kind) {
                tar.raw(name.as_bytes(), kind, b"00000000000\0", b"", device);
            } else {
                tar.raw(name.as_bytes(), kind, b"00000000005\0", b"", device).data(b"data\n");
            }
            add(format!("kind {kind} at {name}"), tar.done());
        }
    }
}

fn sizes(add: &mut Add<'_>) {
    let sizes: [(&str, &[u8]); 8] = [
        ("of 8 GiB", b"77777777777\0"),
        ("of 2^63", b"\x80\0\0\0\x80\0\0\0\0\0\0\0"),
        ("of 2^64-1", b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("below zero", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("that is no number", b"abcdefghijkl"),
        ("that is empty", b""),
        ("of blanks", b"           \0"),
        ("of minus one", b"-1\0"),
    ];
    for (what, size) in sizes {
        for kind in [b'0', b'L', b'K', b'x', b'g', b'S', b'5', b'2'] {
            let mut tar = Writer::default();
            tar.raw(b"var/log/messages", kind, size, b"x", |_| {}).data(b"x\n");
            add(format!("size {what} in kind {}", char::from(kind)), tar.done());
        }
    }
    for size in ["0", "1", "18446744073709551615", "99999999999999999999", "-1", "x"] {
        let mut tar = Writer::default();
        tar.pax(&[("size", size.as_bytes())]).file("var/log/messages", b"x\n");
        add(format!("size by pax {size}"), tar.done());
    }
}

fn sparse(add: &mut Add<'_>) {
    let number = |n: u64| -> [u8; 12] {
        let mut field = [0; 12];
        field[0] = 0x80;
        field[4..].copy_from_slice(&n.to_be_bytes());
        field
    };
    type Parts = Vec<(u64, u64)>;
    let maps: [(&str, Parts, u64); 6] = [
        ("16 GiB of nothing", vec![(16 << 30, 0)], 16 << 30),
        ("one byte at the end of 2^62", vec![((1 << 62) - 1, 1)], 1 << 62),
        ("parts that overlap", vec![(0, 2), (1, 2)], 100),
        ("parts that go back", vec![(50, 2), (0, 2)], 100),
        ("parts beyond its size", vec![(1000, 4)], 100),
        ("parts whose sum overflows", vec![(u64::MAX, 4)], u64::MAX),
    ];
    for (what, parts, size) in maps {
        for name in ["var/log/messages", "var/log/journal/x.journal"] {
            let stored: u64 = parts.iter().fold(0, |sum: u64, part| sum.wrapping_add(part.1));
            let data = vec![b'x'; usize::try_from(stored.min(64)).unwrap()];
            let mut tar = Writer::default();
            tar.raw(name.as_bytes(), b'S', format!("{stored:011o}\0").as_bytes(), b"", |h| {
                h[257..265].copy_from_slice(b"ustar  \0");
                for (n, (offset, length)) in parts.iter().enumerate() {
                    h[386 + n * 24..398 + n * 24].copy_from_slice(&number(*offset));
                    h[398 + n * 24..410 + n * 24].copy_from_slice(&number(*length));
                }
                h[483..495].copy_from_slice(&number(size));
            });
            tar.data(&data);
            add(format!("sparse GNU, {what}, {name}"), tar.done());
            let map = parts.iter().map(|(o, l)| format!("{o},{l}")).collect::<Vec<_>>().join(",");
            let size = size.to_string();
            let mut tar = Writer::default();
            tar.pax(&[("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", size.as_bytes())]);
            tar.entry(name.as_bytes(), b'0', b"", &data);
            add(format!("sparse pax 0.1, {what}, {name}"), tar.done());
            let lines: String = parts.iter().map(|(o, l)| format!("{o}\n{l}\n")).collect();
            let mut map = format!("{}\n{lines}", parts.len()).into_bytes();
            map.resize(BLOCK, 0);
            map.extend(&data);
            let mut tar = Writer::default();
            tar.pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"../../../../messages"),
                ("GNU.sparse.realsize", size.as_bytes()),
            ]);
            tar.entry(name.as_bytes(), b'0', b"", &map);
            add(format!("sparse pax 1.0, {what}, {name}"), tar.done());
        }
    }
    let mut tar = Writer::default();
    tar.raw(b"var/log/messages", b'S', b"00000000000\0", b"", |h| {
        h[257..265].copy_from_slice(b"ustar  \0");
        h[482] = 1;
    });
    for _ in 0..2000 {
        let mut more = [0_u8; BLOCK];
        more[504] = 1;
        tar.data(&more);
    }
    add("a sparse map without end".into(), tar.done());
}

fn extensions(outside: &str, add: &mut Add<'_>) {
    for kind in [b'L', b'K', b'x', b'g'] {
        let mut tar = Writer::default();
        tar.long(kind, &vec![b'a'; 4 << 20]).file("var/log/messages", b"x\n");
        add(format!("an extension {} of 4 MiB", char::from(kind)), tar.done());
        let mut tar = Writer::default();
        for _ in 0..500 {
            tar.long(kind, b"6 a=b\n");
        }
        add(format!("500 extensions {} for one member", char::from(kind)), tar.file("x", b"").done());
    }
    let records: [&[u8]; 10] = [
        b"99999999999999999999 path=x\n",
        b"0 path=x\n",
        b"5 path=x\n",
        b"-1 path=x\n",
        b"path=x\n",
        b"10 path=x",
        b"9 path=x\n9 path=\n",
        b"6 a=b\n",
        b"4 =\n\n",
        b"\n\n\n",
    ];
    for record in records {
        let mut tar = Writer::default();
        tar.long(b'x', record).file("var/log/messages", b"x\n");
        add(format!("pax record {}", String::from_utf8_lossy(record).trim()), tar.done());
    }
    let canary = format!("{outside}/canary");
    let mut tar = Writer::default();
    tar.pax(&[("linkpath", canary.as_bytes())])
        .link("var/log/messages", "x")
        .file("var/log/messages", b"pwned\n");
    tar.long(b'K', canary.as_bytes())
        .entry(b"var/log/syslog", b'1', b"x", b"")
        .file("var/log/syslog", b"pwned\n");
    tar.long(b'g', format!("{} path={canary}\n", canary.len() + 9).as_bytes())
        .file("var/log/kern.log", b"pwned\n");
    add("links and names by extensions".into(), tar.done());
}

fn bombs(add: &mut Add<'_>) {
    let newlines = vec![b'\n'; 24 << 20];
    let zeros = vec![0; 24 << 20];
    for (what, content) in [("newlines", &newlines), ("zeros", &zeros)] {
        for name in ["var/log/messages", "lost+found/x", "sys/devices/block/a/dev", "proc/mounts"] {
            add(format!("24 MiB of {what} as {name}"), gzip(&Writer::default().file(name, content).done()));
        }
        let once = gzip(content);
        let twice = gzip(&once);
        let thrice = gzip(&twice);
        let mut tar = Writer::default();
        tar.file("var/log/messages.gz", &once).file("var/log/messages-20260101.gz", &twice);
        tar.file("var/log/syslog.1.gz", &thrice).file("proc/mounts", &once).file("mpio.txt.gz", &once);
        tar.file("basic-environment.txt", b"").file("messages.txt", b"#==[\n# /var/log/messages\n");
        add(format!("24 MiB of {what}, packed in what is packed"), gzip(&gzip(&tar.done())));
    }
    let mut tar = Writer::default();
    for n in 0..20_000 {
        tar.file(&format!("d{n}/messages"), b"");
    }
    add("20,000 logs".into(), gzip(&tar.done()));
    let mut tar = Writer::default();
    for n in 0..2_000 {
        let (dir, next) = (format!("sys/devices/block/b{n}"), (n + 1) % 2000);
        tar.file(&format!("{dir}/dev"), format!("8:{n}\n").as_bytes());
        tar.link(&format!("sys/class/block/b{n}"), &format!("../../devices/block/b{n}"));
        tar.link(&format!("{dir}/slaves/b{next}"), &format!("../../b{next}"));
        tar.link(&format!("sys/devices/block/b{next}/holders/b{n}"), &format!("../../b{n}"));
    }
    add("2,000 disks in a ring".into(), gzip(&tar.done()));
    let large = vec![b'x'; 64 << 10];
    let mut tar = Writer::default();
    for attribute in ["wwid", "serial", "model", "vendor", "uuid"] {
        tar.file(&format!("sys/devices/block/one/{attribute}"), &large);
    }
    tar.file("sys/devices/block/one/dev", b"8:0\n").file("run/udev/data/b8:0", &large);
    for n in 0..10_000 {
        tar.link(&format!("sys/class/block/s{n}"), "../../devices/block/one");
        tar.file(&format!("sys/devices/block/d{n}/dev"), format!("259:{n}\n").as_bytes());
        tar.link(&format!("sys/devices/block/d{n}/device"), "../one");
        tar.link(&format!("sys/class/block/nvme{n}n1"), &format!("../../devices/block/d{n}"));
        tar.link(&format!("run/udev/data/b259:{n}"), "b8:0");
    }
    add("20,000 disks with the same large attributes".into(), gzip(&tar.done()));
    let mut tar = Writer::default();
    let tables = [
        ("proc/mounts", "/dev/sda /a{} ext4 rw 0 0\n"),
        (
            "sos_commands/block/lsblk",
            "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS\nsd{} 8:{} 0 1G 0 disk /{}\n /{}\n",
        ),
        (
            "udevadm_info_--export-db",
            "P: /block/sd{}\nE: DEVNAME=/dev/sd{}\nE: SUBSYSTEM=block\nE: MAJOR=8\nE: MINOR={}\nS: l{}\n\n",
        ),
        ("multipath_-ll", "m{} (3600{}) dm-{} V,M\n| `- 2:0:0:{} sdb{} 8:16 active\n"),
    ];
    for (name, form) in tables {
        let text: String = (0..20_000).map(|n| form.replace("{}", &n.to_string())).collect();
        tar.file(name, text.as_bytes());
    }
    add("tables of 20,000 lines".into(), gzip(&tar.done()));
    let mut tar = Writer::default();
    for n in 0..1000 {
        tar.file(&format!("var/log/journal/{n}.journal"), b"LPKSHHRH");
    }
    add("1,000 journals that are none".into(), tar.done());
    add(
        "an archive in an archive".into(),
        Writer::default().file("messages", &Writer::default().done()).done(),
    );
}

/// A good archive that is cut, or changed in one byte.
fn broken(add: &mut Add<'_>) {
    let mut tar = Writer::default();
    tar.pax(&[("path", b"sos/var/log/messages"), ("mtime", b"1795255200.5")])
        .file("x", b"Nov 21 13:00:00 h kernel: x\n");
    tar.file("sos/sys/devices/block/a/dev", b"8:0\n").link("sos/sys/class/block/a", "../../devices/block/a");
    tar.long(b'L', &[b"sos/".as_slice(), &b"l/".repeat(60), b"messages\0"].concat()).file("x", b"x\n");
    let good = tar.done();
    let step = good.len() / 40;
    for cut in (0..good.len()).step_by(step) {
        add(format!("cut at {cut}"), good[..cut].to_vec());
    }
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for n in 0..60 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut changed = good.clone();
        let at = usize::try_from(seed % good.len() as u64).unwrap();
        changed[at] ^= u8::try_from(seed >> 40 & 0xff).unwrap() | 1;
        add(format!("change {n} at {at}"), changed);
        let mut packed = gzip(&good);
        let at = 10 + usize::try_from(seed % (packed.len() as u64 - 10)).unwrap();
        packed[at] ^= 0x55;
        add(format!("change {n} at {at}, packed"), packed);
    }
}
