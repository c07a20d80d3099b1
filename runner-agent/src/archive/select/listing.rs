//! What git prints when it is asked for the files that it does not track.

use std::path::PathBuf;

use runner_cache::tree::relative_path;

/// What git found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing<'a> {
    /// The names, each with a zero byte after it.
    pub(super) names: &'a [u8],
    /// Folders that it was not allowed to look into. It tracks nothing in them, since it would have made them itself.
    pub(super) closed: Vec<PathBuf>,
}

impl<'a> Listing<'a> {
    /// Git looks at everything before it lists anything, so that its warnings stand before the list.
    pub(super) fn read(output: &'a [u8]) -> Self {
        let mut listing = Self { names: output, closed: Vec::new() };
        while let Some(warning) = listing.names.strip_prefix(b"warning: ") {
            let Some(end) = warning.iter().position(|&byte| byte == b'\n') else { break };
            let (text, rest) = warning.split_at(end);
            let folder = text.strip_prefix(b"could not open directory '");
            let folder = folder.and_then(|text| text.strip_suffix(b"': Permission denied"));
            listing.closed.extend(folder.and_then(|name| relative_path(name).ok()));
            listing.names = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_no_files_and_tell_of_closed_folders() {
        let check = |output: &[u8], names: &[u8], closed: &[&str]| {
            let closed = closed.iter().map(PathBuf::from).collect();
            assert_eq!(Listing::read(output), Listing { names, closed });
        };
        let denied = b"warning: could not open directory 'a b/c/': Permission denied\nwarning: y\na\0b\0";
        check(denied, b"a\0b\0", &["a b/c"]);
        check(b"warning: could not open directory '../x/': Permission denied\na\0", b"a\0", &[]);
        check(b"warning: could not open directory 'x/': Too many open files\na\0", b"a\0", &[]);
        check(b"a\0warning: b\n\0", b"a\0warning: b\n\0", &[]);
        check(b"", b"", &[]);
    }
}
