//! Names of logical volumes, as they stand in those of their maps.

/// Suffixes of maps that are not the volume itself, but a layer of it.
const LAYERS: [&str; 5] = ["tpool", "tdata", "tmeta", "real", "cow"];

/// `vg/lv` of a map that LVM made (its UUID says so), with doubled hyphens undone: `my--vg-lv` is `my-vg/lv`.
pub fn volume(map: &str, uuid: &str) -> Option<String> {
    if !uuid.starts_with("LVM-") {
        return None;
    }
    let mut parts = vec![String::new()];
    let mut letters = map.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_double = letter == '-' && letters.peek() == Some(&'-');
        if letter == '-' && !is_double {
            parts.push(String::new());
            continue;
        }
        if is_double {
            letters.next();
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let (vg, lv) = match parts.as_slice() {
        [vg, lv] => (vg, lv),
        [vg, lv, layer] if LAYERS.contains(&layer.as_str()) => (vg, lv),
        _ => return None,
    };
    let is_name = |name: &str| {
        // As LVM has it; it goes into a command as one argument, and must not look like an option.
        !name.is_empty()
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+_.-".contains(&b))
    };
    (is_name(vg) && is_name(lv)).then(|| format!("{vg}/{lv}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_of_a_map() {
        for (map, volume) in [
            ("vg-lv", Some("vg/lv")),
            ("my--vg-my--lv", Some("my-vg/my-lv")),
            ("vg-pool-tpool", Some("vg/pool")),
            ("vg-lv-real", Some("vg/lv")),
            ("vg", None),
            ("vg-", None),
            ("vg-lv-other", None),
            ("vg-a b", None),
            ("vg-lv$(x)", None),
        ] {
            assert_eq!(super::volume(map, "LVM-abc").as_deref(), volume, "{map}");
        }
        assert_eq!(volume("vg-lv", "CRYPT-x"), None);
        assert_eq!(volume("---x", "LVM-abc"), None);
    }
}
