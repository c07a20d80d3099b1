//! Files one after the other, each a gzip member with its name: the form of reports.
//!
//! A member's name is that of the file, its comment the path. Both fields are Latin-1 in gzip; a text with other
//! letters is written as GitLab Runner writes it: `e:` and the letters percent-encoded.

use std::{
    io::{self, BufRead, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, bufread::GzDecoder};
use runner_cache::{
    blocking::Interrupt,
    tree::{Attributes, TreeError, TreeWriter, relative_path},
};

use super::{
    Level,
    pack::{Tree, copy},
};

/// The longest path that Linux knows.
const LONGEST: usize = 4096;

pub(super) fn write(
    output: &mut impl Write,
    tree: Tree<'_>,
    level: Level,
    interrupt: &Interrupt,
) -> io::Result<()> {
    for file in tree.regular_files() {
        let (path, found) = file?;
        let name = path.file_name().unwrap_or_default();
        let mut member = GzBuilder::new()
            .filename(encode(name.as_bytes()))
            .comment(encode(path.as_os_str().as_bytes()))
            .mtime(u32::try_from(found.modified.0).unwrap_or(0))
            .write(&mut *output, Compression::new(level.deflate()));
        copy(tree.content(path)?, found.size, &mut member, interrupt)?;
        member.finish()?;
    }
    Ok(())
}

/// Writes the members of `input` as files below `folder`, which must exist, under the paths in their comments.
/// `size` is how large they may be together. Returns their paths.
///
/// # Errors
/// Where a member is damaged, has no name or one that leaves `folder`, or where they are larger than `size`.
pub fn unpack_members(
    input: impl BufRead,
    folder: &Path,
    size: u64,
    interrupt: &Interrupt,
) -> Result<Vec<PathBuf>, TreeError> {
    let mut writer = TreeWriter::new(folder, interrupt)?;
    let written = write_members(input, size, &mut writer);
    let finished = writer.finish();
    let written = written?;
    finished.map(|()| written)
}

fn write_members(
    mut input: impl BufRead,
    mut size: u64,
    writer: &mut TreeWriter,
) -> Result<Vec<PathBuf>, TreeError> {
    let mut paths = Vec::new();
    while !input.fill_buf()?.is_empty() {
        let mut member = GzDecoder::new(&mut input);
        let header = member.header();
        let name = header.and_then(|header| header.comment().or(header.filename())).unwrap_or_default();
        let path = relative_path(&decode(name.get(..LONGEST).unwrap_or(name)))?;
        let modified = None;
        let written = writer.file_up_to(&path, Attributes { mode: 0o644, modified }, size, &mut member)?;
        size -= written;
        paths.push(path);
    }
    Ok(paths)
}

fn encode(text: &[u8]) -> Vec<u8> {
    if text.iter().all(|byte| byte.is_ascii() && *byte != b'%') {
        return text.to_vec();
    }
    let mut encoded = b"e:".to_vec();
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

fn decode(text: &[u8]) -> Vec<u8> {
    let Some(mut rest) = text.strip_prefix(b"e:") else { return text.to_vec() };
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.split_at_checked(2).filter(|_| *byte == b'%');
        let value = digits.and_then(|(digits, after)| {
            let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None => decoded.push(*byte),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive() {
        for name in ["plain.xml", "ä ö", "100%", "a/b c", "\u{1F600}", "e", ""] {
            assert_eq!(decode(&encode(name.as_bytes())), name.as_bytes(), "{name}");
        }
        assert_eq!(encode("ä".as_bytes()), b"e:%C3%A4");
        assert_eq!(decode(b"e:%zz%4"), b"%zz%4");
        assert_eq!(decode(&encode(b"\xff\xfe")), b"\xff\xfe");
    }
}
