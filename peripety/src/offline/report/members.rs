//! Members of a tar archive, one after the other, in bounded memory.
//!
//! The crate `tar` decodes the headers. It reads long names and extensions of any size into memory, and unpacks holes as
//! zeros, so what lies between the headers (POSIX.1-2017 pax, GNU tar's manual "Basic Tar Format") is read here.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::name;

const BLOCK: usize = 512;
/// Headers that describe one member: long name, long link, pax, each perhaps more than once.
const HEADERS_MAX: usize = 16;
/// Bytes of an extension: a sparse map may be long.
const EXTENSION_MAX: u64 = 256 << 10;
/// Parts of a sparse file.
const PARTS_MAX: usize = 10_000;

/// What is wrong with an archive: nothing after it can be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum TarError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It ends early.
    #[error("the archive ends too early: it was cut or is still being written, get it once more")]
    Cut,
    /// A header is none.
    #[error("the archive is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: u64,
        /// In what way.
        what: &'static str,
    },
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A symbolic link, and what it says.
    Link(Vec<u8>),
    /// A hard link, and of what.
    HardLink(Vec<u8>),
    /// A device, a FIFO, or what is unknown.
    Special,
}

/// A file with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    /// Size with the holes.
    pub size: u64,
    /// Offset and length of each part that has data; they lie one after the other in the archive.
    pub parts: Vec<(u64, u64)>,
}

/// A member of an archive. Its data are next.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its name as written; none if it is too long, or its sparse map makes no sense.
    pub name: Option<Vec<u8>>,
    pub kind: Kind,
    /// When it was last written, seconds since 1970.
    pub written: u64,
    pub sparse: Option<Sparse>,
}

/// Reads an archive.
#[derive(Debug)]
pub(super) struct Members<R> {
    from: R,
    at: u64,
    /// Bytes of the current member's data, and of what fills up its last block.
    left: u64,
    fill: u64,
}

/// What headers before a member's own report it.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    written: Option<u64>,
    /// A name that is too long to be one.
    too_long: bool,
    sparse: PaxSparse,
}

/// The sparse formats of GNU tar in pax headers: 0.0, 0.1, 1.0.
#[derive(Debug, Default)]
struct PaxSparse {
    is: bool,
    map_in_data: bool,
    size: Option<u64>,
    offset: Option<u64>,
    parts: Vec<(u64, u64)>,
    wrong: bool,
}

impl<R: Read> Members<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, at: 0, left: 0, fill: 0 }
    }

    /// The next member; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Member>, TarError> {
        self.skip_rest()?;
        let mut extended = Extended::default();
        for _ in 0..HEADERS_MAX {
            let Some(header) = self.header()? else { return Ok(None) };
            let at = self.at - BLOCK as u64;
            let damaged = |what| TarError::Damaged { at, what };
            let size = header.entry_size().map_err(|_| damaged("a size is no number"))?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    self.long_name(size, &mut extended, |e, name| e.name = Some(name))?
                }
                EntryType::GNULongLink => {
                    self.long_name(size, &mut extended, |e, name| e.link = Some(name))?
                }
                EntryType::XHeader => self.pax(size, &mut extended)?,
                // Of all members: comments, and nothing that is needed.
                EntryType::XGlobalHeader => {
                    self.begin(size);
                    self.skip_rest()?;
                }
                kind => return self.member(&header, kind, extended.size.unwrap_or(size), extended).map(Some),
            }
        }
        Err(TarError::Damaged { at: self.at, what: "it has too many headers for one member" })
    }

    fn member(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        extended: Extended,
    ) -> Result<Member, TarError> {
        let Extended { name, link, written, too_long, sparse: of_pax, .. } = extended;
        let link = || link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let is_sparse = kind == EntryType::GNUSparse;
        let kind = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link(link()),
            EntryType::Link => Kind::HardLink(link()),
            _ => Kind::Special,
        };
        let sparse = if is_sparse { Some(self.gnu_sparse(header)?) } else { None };
        // These have no data, whatever their size says (POSIX.1, ustar interchange format).
        let has_data = !matches!(header.entry_type().as_byte(), b'1'..=b'6');
        self.begin(if has_data { size } else { 0 });
        let sparse = match sparse {
            None if of_pax.is => Some(self.pax_sparse(of_pax)?),
            other => other,
        };
        let whole = sparse.as_ref().is_none_or(|sparse| sparse.as_ref().is_some_and(|s| sound(s, self.left)));
        let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
        Ok(Member {
            name: (whole && !too_long).then_some(name),
            kind,
            written: written.unwrap_or_else(|| header.mtime().unwrap_or_default()),
            sparse: sparse.flatten(),
        })
    }

    /// The next header; none at the end, which is a block of zeros or the end of the file.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut header = Header::new_old();
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        header.as_mut_bytes().copy_from_slice(&block);
        let sum = |byte: fn(u8) -> i64| -> i64 {
            let of = |at: usize, b: u8| if (148..156).contains(&at) { i64::from(b' ') } else { byte(b) };
            block.iter().enumerate().map(|(at, b)| of(at, *b)).sum()
        };
        let reported = header.cksum().map_or(-1, i64::from);
        // Old tars summed signed bytes.
        if reported != sum(i64::from) && reported != sum(|b| i64::from(b.cast_signed())) {
            let at = self.at - BLOCK as u64;
            return Err(TarError::Damaged { at, what: "a header's checksum is wrong" });
        }
        Ok(Some(header))
    }

    /// A block; none at the end of the file.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while let Some(rest) = block.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Cut),
                Ok(length) => have += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.fill = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        // Sizes may be such that their sum is none.
        for mut left in [std::mem::take(&mut self.left), std::mem::take(&mut self.fill)] {
            while left > 0 {
                let skipped = io::copy(&mut (&mut self.from).take(left.min(1 << 20)), &mut io::sink())?;
                if skipped == 0 {
                    return Err(TarError::Cut);
                }
                self.at = self.at.saturating_add(skipped);
                left -= skipped;
            }
        }
        Ok(())
    }

    /// The data of a header that describes another member; none if they are too long.
    fn small(&mut self, size: u64, most: u64) -> Result<Option<Vec<u8>>, TarError> {
        self.begin(size);
        let mut data = Vec::new();
        if size <= most {
            self.data().read_to_end(&mut data)?;
            if data.len() as u64 != size {
                return Err(TarError::Cut);
            }
        }
        self.skip_rest()?;
        Ok((size <= most).then_some(data))
    }

    fn long_name(
        &mut self,
        size: u64,
        extended: &mut Extended,
        set: fn(&mut Extended, Vec<u8>),
    ) -> Result<(), TarError> {
        match self.small(size, 2 * name::NAME_MAX as u64)? {
            Some(mut name) => {
                // It ends with a zero byte.
                if name.last() == Some(&0) {
                    name.pop();
                }
                set(extended, name);
            }
            None => extended.too_long = true,
        }
        Ok(())
    }

    fn pax(&mut self, size: u64, extended: &mut Extended) -> Result<(), TarError> {
        let Some(data) = self.small(size, EXTENSION_MAX)? else {
            extended.too_long = true;
            return Ok(());
        };
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let Some((key, value, after)) = record(rest) else {
                extended.too_long = true;
                return Ok(());
            };
            rest = after;
            let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
            match key {
                b"path" if !extended.sparse.is => extended.name = Some(value.to_owned()),
                b"GNU.sparse.name" => extended.name = Some(value.to_owned()),
                b"linkpath" => extended.link = Some(value.to_owned()),
                b"size" => extended.size = Some(number().ok_or(self.no_number())?),
                b"mtime" => extended.written = whole_seconds(value),
                b"GNU.sparse.major" => {
                    (extended.sparse.is, extended.sparse.map_in_data) = (true, value == b"1");
                }
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                    (extended.sparse.is, extended.sparse.size) = (true, number());
                }
                b"GNU.sparse.offset" => extended.sparse.offset = number(),
                b"GNU.sparse.numbytes" => {
                    let part = extended.sparse.offset.take().zip(number());
                    extended.sparse.wrong |= part.is_none();
                    extended.sparse.parts.extend(part);
                }
                b"GNU.sparse.map" => extended.sparse.map(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn no_number(&self) -> TarError {
        TarError::Damaged { at: self.at, what: "a size is no number" }
    }

    /// The map of GNU's own format: four parts in the header, 21 in each block that follows.
    fn gnu_sparse(&mut self, header: &Header) -> Result<Option<Sparse>, TarError> {
        let Some(gnu) = header.as_gnu() else { return Ok(None) };
        let mut parts = Vec::new();
        let mut wrong = false;
        let mut add = |of: &[tar::GnuSparseHeader]| {
            for part in of.iter().filter(|part| !part.is_empty()) {
                let read = part.offset().ok().zip(part.length().ok()).filter(|_| parts.len() < PARTS_MAX);
                wrong |= read.is_none();
                parts.extend(read);
            }
        };
        add(&gnu.sparse);
        let mut more = gnu.is_extended();
        while more {
            let mut block = tar::GnuExtSparseHeader::new();
            block.as_mut_bytes().copy_from_slice(&self.block()?.ok_or(TarError::Cut)?);
            add(&block.sparse);
            more = block.is_extended();
        }
        let size = gnu.real_size().ok().filter(|_| !wrong);
        Ok(size.map(|size| Sparse { size, parts }))
    }

    /// The map of a pax header; that of format 1.0 is at the beginning of the data, as lines of decimal numbers.
    fn pax_sparse(&mut self, mut of_pax: PaxSparse) -> Result<Option<Sparse>, TarError> {
        if of_pax.map_in_data && !self.read_map(&mut of_pax)? {
            return Ok(None);
        }
        let PaxSparse { size, parts, wrong, .. } = of_pax;
        Ok(size.filter(|_| !wrong && parts.len() <= PARTS_MAX).map(|size| Sparse { size, parts }))
    }

    fn read_map(&mut self, of_pax: &mut PaxSparse) -> Result<bool, TarError> {
        let mut numbers: Vec<u64> = Vec::new();
        let mut number: Option<u64> = None;
        loop {
            if self.left < BLOCK as u64 {
                return Ok(false);
            }
            let block = self.block()?.ok_or(TarError::Cut)?;
            self.left -= BLOCK as u64;
            for byte in block {
                let wanted = numbers.first().map_or(1, |count| count.saturating_mul(2).saturating_add(1));
                match (byte, number) {
                    _ if numbers.len() as u64 >= wanted => break,
                    (b'0'..=b'9', _) => {
                        let more = number
                            .unwrap_or(0)
                            .checked_mul(10)
                            .and_then(|n| n.checked_add(u64::from(byte - b'0')));
                        if more.is_none() {
                            return Ok(false);
                        }
                        number = more;
                    }
                    (b'\n', Some(whole)) => {
                        numbers.push(whole);
                        number = None;
                    }
                    _ => return Ok(false),
                }
            }
            let Some((count, parts)) = numbers.split_first() else { return Ok(false) };
            if *count > PARTS_MAX as u64 {
                return Ok(false);
            }
            if parts.len() as u64 >= count * 2 {
                of_pax.parts =
                    parts.chunks_exact(2).filter_map(|p| Some((*p.first()?, *p.get(1)?))).collect();
                return Ok(true);
            }
        }
    }

    /// The data of the current member.
    pub(super) fn data(&mut self) -> Data<'_, R> {
        Data { members: self }
    }
}

impl PaxSparse {
    fn map(&mut self, value: &[u8]) {
        let numbers: Vec<Option<u64>> =
            value.split(|b| *b == b',').map(|n| std::str::from_utf8(n).ok()?.parse().ok()).collect();
        for pair in numbers.chunks(2) {
            match pair {
                [Some(offset), Some(length)] => self.parts.push((*offset, *length)),
                _ => self.wrong = true,
            }
        }
        self.is = true;
    }
}

/// The first record of a pax header, `LENGTH KEY=VALUE` and a newline, and what is after it. A value may have newlines.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = data.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(data.get(..blank)?).ok()?.parse().ok()?;
    let (key, value) = {
        let pair = data.get(blank + 1..length)?.strip_suffix(b"\n")?;
        let equals = pair.iter().position(|b| *b == b'=')?;
        (pair.get(..equals)?, pair.get(equals + 1..)?)
    };
    Some((key, value, data.get(length..)?))
}

/// `1795255200.25`
fn whole_seconds(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.split('.').next()?.parse().ok()
}

/// Whether the parts follow each other within the file, and are what the archive holds of it.
fn sound(sparse: &Sparse, stored: u64) -> bool {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for (offset, length) in &sparse.parts {
        let Some(after) = offset.checked_add(*length).filter(|after| *offset >= end && *after <= sparse.size)
        else {
            return false;
        };
        end = after;
        sum += length;
    }
    sum == stored
}

/// The data of a member.
#[derive(Debug)]
pub(super) struct Data<'m, R> {
    members: &'m mut Members<R>,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let members = &mut *self.members;
        let most = usize::try_from(members.left).unwrap_or(usize::MAX).min(to.len());
        if most == 0 {
            return Ok(0);
        }
        let length = members.from.read(to.get_mut(..most).unwrap_or_default())?;
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Cut.to_string()));
        }
        members.at = members.at.saturating_add(length as u64);
        members.left -= length as u64;
        Ok(length)
    }
}
