//! The head of an entry: which packs it needs, and where its index lies.
//!
//! ```text
//! runner-cache 1
//! made <day>
//! tree <files> <bytes>
//! index <pack> <offset> <length> <blake3>
//! pack <name> <size> <day>
//! …
//! ```
//! Days are counted since 1970; `<pack>` is the place of a pack in the list that follows. A head is written by a job and
//! read by whoever holds the store's credentials, so it is parsed as what it is: hostile.

use std::fmt;

use runner_core::{Error, ErrorKind, Result};

/// The largest head, in bytes. A backend reads no more than this of one, and a byte to know that there is more.
pub const LARGEST: usize = 64 << 10;
/// The most packs that a head names.
pub const MOST_PACKS: usize = 600;
/// The largest pack, in bytes: what a store takes in one request.
pub const LARGEST_PACK: u64 = 5 << 30;

const FIRST_LINE: &str = "runner-cache 1";
const ID: usize = 32;

/// What an entry consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The day on which it was made.
    pub made: u32,
    /// Files, folders and links in it.
    pub files: u64,
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// Where its index lies.
    pub index: Place,
    /// The packs that it needs, each once.
    pub packs: Vec<Pack>,
}

/// Bytes within a pack, and their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The pack, by its place in [`Head::packs`].
    pub pack: usize,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many they are.
    pub length: u64,
    /// Their digest.
    pub digest: blake3::Hash,
}

/// A pack that an entry needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub name: PackName,
    /// Its size in bytes.
    pub size: u64,
    /// The day on which it was written.
    pub day: u32,
}

/// The name of a pack: the id of the write, 32 digits of base 16, a dash, and four digits of base 10. Nothing else is one,
/// so a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackName(String);

impl PackName {
    /// The pack `number` of the write `id`; `None` where either does not have the form.
    pub fn new(id: &str, number: usize) -> Option<Self> {
        Self::parse(&format!("{id}-{number:04}"))
    }

    /// The name in `text`; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, number) = text.split_once('-')?;
        let is_name =
            is_write_id(id) && number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether `id` has the form of the id of a write.
pub fn is_write_id(id: &str) -> bool {
    id.len() == ID && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Head {
    /// Reads a head.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for everything that [`to_text`](Self::to_text) would not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |why: String| Error::new(ErrorKind::Corrupt, "read the head of a cache").because(why);
        if bytes.len() > LARGEST {
            return Err(wrong(format!("it has more than {LARGEST} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is no text".into()))?;
        let head = parse_lines(text).map_err(|what| wrong(format!("{what} is missing or wrong")))?;
        if head.to_text() == text { Ok(head) } else { Err(wrong("it is not as it would be written".into())) }
    }

    /// The text of the head.
    pub fn to_text(&self) -> String {
        let Place { pack, offset, length, digest } = self.index;
        let place = format!("index {pack} {offset} {length} {}\n", digest.to_hex());
        let mut text = format!("{FIRST_LINE}\nmade {}\ntree {} {}\n", self.made, self.files, self.bytes);
        text.push_str(&place);
        for Pack { name, size, day } in &self.packs {
            let line = format!("pack {name} {size} {day}\n");
            text.push_str(&line);
        }
        text
    }

    /// Size of all packs, in bytes.
    pub fn stored(&self) -> u64 {
        self.packs.iter().map(|pack| pack.size).sum()
    }
}

fn parse_lines(text: &str) -> std::result::Result<Head, &'static str> {
    let mut lines = text.lines();
    lines.next().filter(|line| *line == FIRST_LINE).ok_or("its version")?;
    let made = fields(lines.next(), "made").and_then(|[day]| day.parse().ok()).ok_or("its day")?;
    let tree = fields(lines.next(), "tree")
        .and_then(|[files, bytes]| Some((files.parse().ok()?, bytes.parse().ok()?)));
    let (files, bytes) = tree.ok_or("its size")?;
    let index = fields(lines.next(), "index").and_then(parse_place).ok_or("its index")?;
    let mut packs = Vec::new();
    for line in lines {
        let pack = fields(Some(line), "pack").and_then(parse_pack).ok_or("a pack")?;
        packs.push(pack);
        if packs.len() > MOST_PACKS {
            return Err("a sane number of packs");
        }
    }
    let mut names: Vec<_> = packs.iter().map(|pack| &pack.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != packs.len() {
        return Err("a pack of another name");
    }
    let holds_index = packs
        .get(index.pack)
        .is_some_and(|pack| index.offset.checked_add(index.length).is_some_and(|end| end <= pack.size));
    if holds_index { Ok(Head { made, files, bytes, index, packs }) } else { Err("its index") }
}

/// The words of a line after the first, which must be `name`.
fn fields<'a, const N: usize>(line: Option<&'a str>, name: &str) -> Option<[&'a str; N]> {
    let rest = line?.strip_prefix(name)?.strip_prefix(' ')?;
    rest.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn parse_place([pack, offset, length, digest]: [&str; 4]) -> Option<Place> {
    Some(Place {
        pack: pack.parse().ok()?,
        offset: offset.parse().ok()?,
        length: length.parse().ok()?,
        digest: blake3::Hash::from_hex(digest).ok()?,
    })
}

fn parse_pack([name, size, day]: [&str; 3]) -> Option<Pack> {
    let size = size.parse().ok().filter(|size| (1..=LARGEST_PACK).contains(size))?;
    Some(Pack { name: PackName::parse(name)?, size, day: day.parse().ok()? })
}

#[cfg(test)]
mod tests;
