//! Device numbers and SCSI addresses, and the encodings they come in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A device number.
///
/// ```
/// use peripety_model::Dev;
///
/// let dev = Dev::new(8, 16);
/// assert_eq!(dev, Dev::from_kernel(0x0080_0010)); // the field `dev` of a tracepoint
/// assert_eq!(dev, Dev::from_user(0x0810)); // st_rdev of stat(2)
/// assert_eq!(dev, "8:16".parse()?);
/// assert_eq!(Some(dev), Dev::of_sd_name("sdb"));
/// # Ok::<(), peripety_model::ParseDevError>(())
/// ```
///
/// The kernel keeps it in 32 bits as `major << 20 | minor` (include/linux/kdev_t.h, MKDEV): that is what tracepoints and
/// eBPF see. User space sees another encoding in `stat` (new_encode_dev). Mixing them makes `0:2048` of 8:0, hence one
/// type with a constructor for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dev {
    /// Driver's number, 12 bits.
    pub major: u32,
    /// Device's number within the driver, 20 bits.
    pub minor: u32,
}

impl Dev {
    /// A device by its two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// From the kernel's 32 bit encoding, as in tracepoints.
    pub const fn from_kernel(dev: u32) -> Self {
        Self { major: dev >> 20, minor: dev & 0xf_ffff }
    }

    /// The kernel's 32 bit encoding.
    pub const fn to_kernel(self) -> u32 {
        (self.major << 20) | (self.minor & 0xf_ffff)
    }

    /// From `st_rdev` or `st_dev` of stat(2).
    pub const fn from_user(dev: u64) -> Self {
        let major = ((dev >> 8) & 0xfff) | ((dev >> 32) & 0xffff_f000);
        let minor = (dev & 0xff) | ((dev >> 12) & 0xffff_ff00);
        Self { major: major as u32, minor: minor as u32 }
    }

    /// Number of a SCSI disk or its partition by name, `sda` or `sda1` (drivers/scsi/sd.c, sd_major and sd_format_disk_name;
    /// Documentation/admin-guide/devices.txt). None for other names, and for partitions from the 16th on, whose numbers the
    /// kernel picks as they come.
    pub fn of_sd_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("sd")?;
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let partition = match rest.get(letters.len()..)? {
            "" => 0,
            number => {
                number.parse::<u32>().ok().filter(|n| (1..16).contains(n) && !number.starts_with('0'))?
            }
        };
        if letters.is_empty() || letters.len() > 3 || !letters.bytes().all(|b| b.is_ascii_lowercase()) {
            return None;
        }
        let index = letters.bytes().fold(0, |sum, letter| sum * 26 + u32::from(letter - b'a') + 1) - 1;
        let major = match index >> 4 & 0xf {
            0 => 8,
            n @ 1..=7 => 65 + n - 1,
            n => 128 + n - 8,
        };
        Some(Self { major, minor: (index & 0xf) << 4 | partition | index & 0xf_ff00 })
    }

    /// Whether there is no device behind it: major 0 with minor 0.
    pub const fn is_none(self) -> bool {
        self.major == 0 && self.minor == 0
    }

    /// Whether the number is one of a filesystem without a device of its own (btrfs, NFS, tmpfs): major 0.
    pub const fn is_anonymous(self) -> bool {
        self.major == 0
    }
}

impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The text is no `major:minor`.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no device number; write it as MAJOR:MINOR, for example 8:16")]
pub struct ParseDevError(pub String);

impl FromStr for Dev {
    type Err = ParseDevError;

    /// Reads `8:16`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseDevError(text.to_owned());
        let (major, minor) = text.trim().split_once(':').ok_or_else(wrong)?;
        let number = |part: &str, bits: u32| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u32>().ok().filter(|n| digits && *n < 1 << bits)
        };
        match (number(major, 12), number(minor, 20)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Dev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dev {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Dev {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dev".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+:[0-9]+$", "description": "Device number, MAJOR:MINOR." })
    }
}

/// Address of a SCSI device: host, channel, target, LUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hctl {
    /// Host number.
    pub host: u32,
    /// Channel (bus) of the host.
    pub channel: u32,
    /// Target id.
    pub target: u32,
    /// Logical unit; some tracepoints cut it to 32 bits.
    pub lun: u64,
}

impl fmt::Display for Hctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.host, self.channel, self.target, self.lun)
    }
}

/// The text is no `host:channel:target:lun`.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no SCSI address; write it as HOST:CHANNEL:TARGET:LUN, for example 4:0:0:1")]
pub struct ParseHctlError(pub String);

impl FromStr for Hctl {
    type Err = ParseHctlError;

    /// Reads `4:0:0:1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseHctlError(text.to_owned());
        let mut parts = text.trim().split(':');
        let mut next = || parts.next().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
        let (host, channel, target, lun) = (next(), next(), next(), next());
        let ([Some(host), Some(channel), Some(target)], Some(lun), None) =
            ([host, channel, target], lun, next())
        else {
            return Err(wrong());
        };
        let number = |text: &str| text.parse().map_err(|_out_of_range| wrong());
        Ok(Self {
            host: number(host)?,
            channel: number(channel)?,
            target: number(target)?,
            lun: lun.parse().map_err(|_out_of_range| wrong())?,
        })
    }
}

impl Serialize for Hctl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hctl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Hctl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hctl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+:[0-9]+:[0-9]+:[0-9]+$",
            "description": "Address of a SCSI unit: host, channel, target and LUN."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scsi_disks_have_their_numbers_by_name() {
        let of = |name: &str| Dev::of_sd_name(name).map(|dev| dev.to_string());
        for (name, number) in [
            ("sda", "8:0"),
            ("sda15", "8:15"),
            ("sdb1", "8:17"),
            ("sdp", "8:240"),
            ("sdq", "65:0"),
            ("sdz", "65:144"),
            ("sdaa", "65:160"),
            ("sddx", "71:240"),
            ("sddy", "128:0"),
            ("sdiv", "135:240"),
            ("sdiw", "8:256"),
            ("sdiw1", "8:257"),
        ] {
            assert_eq!(of(name).as_deref(), Some(number), "{name}");
        }
        for name in ["sd", "sda16", "sda0", "sda01", "sd1", "sdA", "sdaaaa", "sr0", "dm-0", "sda1x"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn kernel_and_user_encodings_of_the_same_device_agree() {
        // 8:16, a device-mapper and an NVMe device, and minors past eight bits.
        for (dev, kernel, user) in [
            (Dev::new(8, 16), 0x0080_0010, 0x0810),
            (Dev::new(253, 0), 0x0fd0_0000, 0xfd00),
            (Dev::new(259, 1), 0x1030_0001, 0x1_0301),
            (Dev::new(259, 300), 0x1030_012c, 0x11_032c),
            (Dev::new(8, 0xf_ffff), 0x008f_ffff, 0xfff0_08ff),
        ] {
            assert_eq!(Dev::from_kernel(kernel), dev);
            assert_eq!(dev.to_kernel(), kernel);
            assert_eq!(Dev::from_user(user), dev, "{user:#x}");
            assert_eq!(dev.to_string().parse::<Dev>().unwrap(), dev);
        }
    }

    #[test]
    fn nonsense_is_no_device_number() {
        for text in ["", ":", "8:", ":1", "8:-1", "+8:1", "8:16:0", "4096:0", "8:1048576", "a:b", "8 :1"] {
            assert!(text.parse::<Dev>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_scsi_address_has_four_numbers() {
        let hctl: Hctl = "4:0:0:18446744073709551615".parse().unwrap();
        assert_eq!(hctl.lun, u64::MAX);
        assert_eq!(hctl.to_string(), "4:0:0:18446744073709551615");
        for text in ["4:0:0", "4:0:0:1:2", "4:0::1", "x:0:0:1", "4:0:0:-1"] {
            assert!(text.parse::<Hctl>().is_err(), "{text}");
        }
    }
}
