//! BTF as the kernel gives it (Documentation/bpf/btf.rst): types as they lie in the file, decoded when they are looked at.
//!
//! A kernel has more than 100,000 types, of which a few dozen are wanted: one pass notes where each begins, and nothing is
//! made of the others. That takes milliseconds where a parser of everything takes many times that, and no memory but the
//! file's.

use std::{collections::HashMap, ops::Range};

/// Why a blob is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Too short, or of another machine's byte order.
    #[error("it does not begin with the header of BTF")]
    Header,
    /// A type goes past the end.
    #[error("it ends in the middle of type {0}")]
    Truncated(u32),
    /// A kind that came after this was written: its length is not known.
    #[error("type {id} is of the unknown kind {kind}")]
    Kind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u8,
    },
}

/// Kinds that are looked at (include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u8 = 1;
    pub(super) const ARRAY: u8 = 3;
    pub(super) const STRUCT: u8 = 4;
    pub(super) const UNION: u8 = 5;
    pub(super) const TYPEDEF: u8 = 8;
    pub(super) const VOLATILE: u8 = 9;
    pub(super) const CONST: u8 = 10;
    pub(super) const RESTRICT: u8 = 11;
    pub(super) const FUNC_PROTO: u8 = 13;
    pub(super) const TYPE_TAG: u8 = 18;
}

const MAGIC: u16 = 0xeb9f;
/// Name, info, and size or type.
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const PARAMETER_BYTES: usize = 8;
/// Pointers to pointers end here, should they go round in circles.
const LONGEST_CHAIN: usize = 32;

/// Bytes that follow a type's own twelve.
fn extra_bytes(kind: u8, vlen: usize) -> Option<usize> {
    match kind {
        2 | 7..=12 | 16 | 18 => Some(0),
        1 | 14 | 17 => Some(4),
        3 => Some(12),
        6 | 13 => vlen.checked_mul(8),
        4 | 5 | 15 | 19 => vlen.checked_mul(12),
        _ => None,
    }
}

/// The types of the kernel, or those that a module has beside them.
pub(super) struct Btf<'a> {
    data: Vec<u8>,
    types: Range<usize>,
    strings: Range<usize>,
    base: Option<&'a Btf<'a>>,
    first_id: u32,
    first_string: u32,
    /// Where each type begins, from `first_id` on.
    starts: Vec<u32>,
    /// Structs with members, and typedefs, by those names that are wanted.
    named: HashMap<&'static str, u32>,
}

/// A type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    id: u32,
    kind: u8,
    vlen: usize,
    /// The flag that splits a member's offset in bits of a field and offset.
    bitfields: bool,
    size_or_type: u32,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) bit_offset: u32,
    type_id: u32,
}

impl Type {
    /// Its number in the kernel.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) const fn is_array(&self) -> bool {
        self.kind == kind::ARRAY
    }

    pub(super) const fn is_int(&self) -> bool {
        self.kind == kind::INT
    }

    pub(super) const fn has_members(&self) -> bool {
        matches!(self.kind, kind::STRUCT | kind::UNION)
    }

    /// Size in bytes of a struct.
    pub(super) const fn size(&self) -> u32 {
        self.size_or_type
    }
}

impl<'a> Btf<'a> {
    /// Reads a blob. A module's comes on top of the kernel's, its `base`.
    pub(super) fn parse(
        data: Vec<u8>,
        base: Option<&'a Self>,
        wanted: &[&'static str],
    ) -> Result<Self, Malformed> {
        let (types, strings) = sections(&data).ok_or(Malformed::Header)?;
        let (first_id, first_string) = base.map_or((1, 0), |base| (base.end_id(), base.end_string()));
        let starts = Vec::with_capacity(types.len() / 20);
        let mut this =
            Self { data, types, strings, base, first_id, first_string, starts, named: HashMap::new() };
        this.index(wanted)?;
        Ok(this)
    }

    fn index(&mut self, wanted: &[&'static str]) -> Result<(), Malformed> {
        let mut at = self.types.start;
        let mut id = self.first_id;
        while at < self.types.end {
            let found = self.at(at, id).ok_or(Malformed::Truncated(id))?;
            let extra =
                extra_bytes(found.kind, found.vlen).ok_or(Malformed::Kind { id, kind: found.kind })?;
            let next = at.checked_add(TYPE_BYTES + extra).filter(|next| *next <= self.types.end);
            let next = next.ok_or(Malformed::Truncated(id))?;
            self.starts.push(u32::try_from(at).map_err(|_too_large| Malformed::Truncated(id))?);
            // A declaration without members is of no use.
            if (found.kind == kind::STRUCT && found.vlen != 0) || found.kind == kind::TYPEDEF {
                let name = self.u32(at).and_then(|offset| self.string(offset)).unwrap_or_default();
                if let Some(name) = wanted.iter().find(|wanted| wanted.as_bytes() == name) {
                    self.named.entry(name).or_insert(id);
                }
            }
            at = next;
            id = id.checked_add(1).ok_or(Malformed::Truncated(id))?;
        }
        Ok(())
    }

    fn end_id(&self) -> u32 {
        self.first_id.saturating_add(u32::try_from(self.starts.len()).unwrap_or(u32::MAX))
    }

    fn end_string(&self) -> u32 {
        self.first_string.saturating_add(u32::try_from(self.strings.len()).unwrap_or(u32::MAX))
    }

    /// The struct or typedef of a name that was wanted; not one of the base.
    pub(super) fn named(&self, name: &str) -> Option<Type> {
        self.get(*self.named.get(name)?)
    }

    fn get(&self, id: u32) -> Option<Type> {
        match id.checked_sub(self.first_id) {
            Some(index) => self.at(usize::try_from(*self.starts.get(index as usize)?).ok()?, id),
            None => self.base?.get(id),
        }
    }

    fn at(&self, at: usize, id: u32) -> Option<Type> {
        let info = self.u32(at + 4)?;
        Some(Type {
            id,
            kind: (info >> 24) as u8 & 0x1f,
            vlen: (info & 0xffff) as usize,
            bitfields: info >> 31 != 0,
            size_or_type: self.u32(at + 8)?,
        })
    }

    /// The type behind typedefs and qualifiers.
    fn strip(&self, id: u32) -> Option<Type> {
        let mut found = self.get(id)?;
        for _ in 0..LONGEST_CHAIN {
            match found.kind {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {
                    found = self.get(found.size_or_type)?;
                }
                _ => return Some(found),
            }
        }
        None
    }

    /// The type that a member has, behind typedefs and qualifiers.
    pub(super) fn type_of(&self, member: &Member<'_>) -> Option<Type> {
        self.strip(member.type_id)
    }

    /// The members of a struct or union.
    pub(super) fn members(&self, of: Type) -> impl Iterator<Item = Member<'_>> {
        let count = if of.has_members() { of.vlen } else { 0 };
        (0..count).map_while(move |index| {
            let (home, at) = self.place(of.id)?;
            let at = at + TYPE_BYTES + index * MEMBER_BYTES;
            let offset = home.u32(at + 8)?;
            Some(Member {
                name: home.string(home.u32(at)?)?,
                type_id: home.u32(at + 4)?,
                bit_offset: if of.bitfields { offset & 0xff_ffff } else { offset },
            })
        })
    }

    /// Type of parameter `index` of a function that `of`, a typedef, points to: a typedef is one of its own.
    pub(super) fn parameter(&self, of: Type, index: usize) -> Option<Type> {
        let mut found = self.strip(of.id)?;
        // A pointer, the only thing on the way that is no typedef or qualifier.
        if found.kind == 2 {
            found = self.strip(found.size_or_type)?;
        }
        if found.kind != kind::FUNC_PROTO || index >= found.vlen {
            return None;
        }
        let (home, at) = self.place(found.id)?;
        self.get(home.u32(at + TYPE_BYTES + index * PARAMETER_BYTES + 4)?)
    }

    /// The blob that has a type, and where it begins there.
    fn place(&self, id: u32) -> Option<(&Self, usize)> {
        match id.checked_sub(self.first_id) {
            Some(index) => Some((self, usize::try_from(*self.starts.get(index as usize)?).ok()?)),
            None => self.base?.place(id),
        }
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let Some(offset) = offset.checked_sub(self.first_string) else { return self.base?.string(offset) };
        let text = self.data.get(self.strings.start + offset as usize..self.strings.end)?;
        text.split(|byte| *byte == 0).next()
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.data.get(..self.types.end)?.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
    }
}

/// Where types and strings lie.
fn sections(data: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let u32_at = |at: usize| -> Option<usize> {
        let bytes = data.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    let magic = u16::from_ne_bytes(data.get(..2)?.try_into().ok()?);
    if magic != MAGIC {
        return None;
    }
    let header = u32_at(4)?;
    let section = |offset: usize, length: usize| {
        let start = header.checked_add(u32_at(offset)?)?;
        let end = start.checked_add(u32_at(length)?)?;
        (end <= data.len()).then_some(start..end)
    };
    Some((section(8, 12)?, section(16, 20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blob being made.
    #[derive(Default)]
    struct Maker {
        types: Vec<u8>,
        strings: Vec<u8>,
        first_string: u32,
    }

    impl Maker {
        fn string(&mut self, text: &str) -> u32 {
            if text.is_empty() {
                return 0;
            }
            let at = self.first_string + u32::try_from(self.strings.len()).unwrap();
            self.strings.extend(text.as_bytes());
            self.strings.push(0);
            at
        }

        fn add(&mut self, name: &str, kind: u32, vlen: u32, size_or_type: u32, more: &[u32]) {
            let name = self.string(name);
            for word in [name, kind << 24 | vlen, size_or_type].iter().chain(more) {
                self.types.extend(word.to_ne_bytes());
            }
        }

        fn blob(&self) -> Vec<u8> {
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            let mut blob = MAGIC.to_ne_bytes().to_vec();
            blob.extend([1, 0]);
            for word in [24, 0, types, types, strings] {
                blob.extend(u32::to_ne_bytes(word));
            }
            blob.extend(&self.types);
            blob.extend(&self.strings);
            blob
        }
    }

    /// 1 int, 2 array of it, 3 typedef of the array, 4 struct in a union, 5 the union, 6 struct of all, 7 to 9 a prototype.
    fn kernel() -> Vec<u8> {
        let mut maker = Maker { strings: vec![0], ..Maker::default() };
        maker.add("int", 1, 0, 4, &[0]);
        maker.add("", 3, 0, 0, &[1, 1, 8]);
        maker.add("bytes_t", 8, 0, 2, &[]);
        let sector = maker.string("sector");
        maker.add("", 4, 1, 4, &[sector, 1, 0]);
        maker.add("", 5, 1, 4, &[0, 4, 0]);
        let (tag, cmnd) = (maker.string("tag"), maker.string("cmnd"));
        // The second member is a bit field of four bits, which only the flag reports.
        maker.add("request", 4 | 1 << 7, 3, 40, &[0, 5, 64, tag, 1, 4 << 24 | 96, cmnd, 3, 128]);
        maker.add("", 13, 3, 0, &[0, 3, 0, 1, 0, 3]);
        maker.add("", 2, 0, 7, &[]);
        maker.add("btf_trace_x", 8, 0, 8, &[]);
        maker.blob()
    }

    fn offsets(btf: &Btf<'_>, name: &str) -> Vec<(String, u32)> {
        let of = btf.named(name).unwrap();
        btf.members(of).map(|m| (String::from_utf8(m.name.to_vec()).unwrap(), m.bit_offset)).collect()
    }

    #[test]
    fn members_are_found_with_offset_and_type() {
        let btf = Btf::parse(kernel(), None, &["request", "btf_trace_x", "missing"]).unwrap();
        let of = btf.named("request").unwrap();
        assert_eq!(of.size(), 40);
        assert_eq!(offsets(&btf, "request"), [(String::new(), 64), ("tag".into(), 96), ("cmnd".into(), 128)]);
        let types: Vec<_> = btf.members(of).filter_map(|m| btf.type_of(&m)).collect();
        assert!(types[0].has_members() && types[1].is_int() && types[2].is_array());
        assert_eq!(super::super::find(&btf, "request", &["sector"]).map(|f| f.offset), Some(8));
        assert!(btf.parameter(btf.named("btf_trace_x").unwrap(), 1).unwrap().is_int());
        assert!(!btf.parameter(btf.named("btf_trace_x").unwrap(), 2).unwrap().is_int(), "a typedef");
        assert!(btf.parameter(btf.named("btf_trace_x").unwrap(), 3).is_none());
        assert!(btf.named("missing").is_none() && btf.named("int").is_none());
    }

    #[test]
    fn a_module_builds_on_the_kernel() {
        let kernel = Btf::parse(kernel(), None, &["request"]).unwrap();
        let mut maker = Maker { first_string: kernel.end_string(), ..Maker::default() };
        let text = maker.string("text");
        // A type of the kernel, and a name that the kernel has.
        let tag = kernel.data.windows(4).position(|w| w == b"tag\0").unwrap() - kernel.strings.start;
        maker.add("scsi_cmnd", 4, 2, 16, &[text, 3, 32, tag as u32, 10, 64]);
        let module = Btf::parse(maker.blob(), Some(&kernel), &["scsi_cmnd", "request"]).unwrap();
        assert_eq!(offsets(&module, "scsi_cmnd"), [("text".into(), 32), ("tag".into(), 64)]);
        let members: Vec<_> = module.members(module.named("scsi_cmnd").unwrap()).collect();
        assert!(module.type_of(&members[0]).unwrap().is_array());
        assert!(module.type_of(&members[1]).unwrap().has_members());
        assert!(module.named("request").is_none(), "the kernel is asked for what is its own");
    }

    #[test]
    fn what_is_no_btf_is_refused_with_the_reason() {
        let parse = |data: Vec<u8>| Btf::parse(data, None, &["request"]).map(drop);
        assert_eq!(parse(Vec::new()), Err(Malformed::Header));
        assert_eq!(parse(b"\x7fELF and so on, and on and on".to_vec()), Err(Malformed::Header));
        let mut swapped = kernel();
        swapped[..2].reverse();
        assert_eq!(parse(swapped), Err(Malformed::Header));
        let mut maker = Maker { strings: vec![0], ..Maker::default() };
        maker.add("int", 1, 0, 4, &[0]);
        maker.add("new", 25, 0, 4, &[]);
        assert_eq!(parse(maker.blob()), Err(Malformed::Kind { id: 2, kind: 25 }));
        let mut maker = Maker { strings: vec![0], ..Maker::default() };
        maker.add("cut", 4, 9, 4, &[0, 0, 0]);
        assert_eq!(parse(maker.blob()), Err(Malformed::Truncated(1)));
    }

    #[test]
    fn typedefs_in_a_circle_end() {
        let mut maker = Maker { strings: vec![0], ..Maker::default() };
        maker.add("a", 8, 0, 2, &[]);
        maker.add("b", 8, 0, 1, &[]);
        let member = maker.string("m");
        maker.add("s", 4, 1, 4, &[member, 1, 0]);
        let btf = Btf::parse(maker.blob(), None, &["s", "a"]).unwrap();
        assert!(super::super::find(&btf, "s", &["m"]).is_none());
        assert!(btf.parameter(btf.named("a").unwrap(), 0).is_none());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_over_any_change(at in 0..kernel().len(), to: u32, cut in 0..kernel().len()) {
            for mut blob in [kernel(), kernel()[..cut].to_vec()] {
                let end = blob.len().min(at + 4);
                if at < end {
                    blob[at..end].copy_from_slice(&to.to_ne_bytes()[..end - at]);
                }
                if let Ok(btf) = Btf::parse(blob, None, &["request", "btf_trace_x"]) {
                    let _ = super::super::find(&btf, "request", &["sector"]);
                    let _ = super::super::find(&btf, "request", &["cmnd"]);
                    let _ = btf.named("btf_trace_x").and_then(|prototype| btf.parameter(prototype, 1));
                }
            }
        }
    }
}
