//! Makes UTF-8 of whatever a script prints.

/// What is shown in place of bytes that are no UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Replaces what is no UTF-8 in a stream, however it is cut: a character that arrives in parts is not touched.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character: at most three bytes.
    begun: Vec<u8>,
}

impl Utf8 {
    /// Takes the next `bytes`, and gives UTF-8 to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        let bytes = self.complete(bytes, out);
        if simdutf8::basic::from_utf8(bytes).is_ok() {
            if !bytes.is_empty() {
                out(bytes);
            }
            return;
        }
        let mut repaired = Vec::with_capacity(bytes.len() * 2);
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            repaired.extend_from_slice(chunk.valid().as_bytes());
            if chunks.peek().is_none() && is_begun(chunk.invalid()) {
                self.begun.extend_from_slice(chunk.invalid());
            } else if !chunk.invalid().is_empty() {
                repaired.extend_from_slice(REPLACEMENT);
            }
        }
        if !repaired.is_empty() {
            out(&repaired);
        }
    }

    /// The stream ends: a character that has begun will not be complete.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            self.begun.clear();
            out(REPLACEMENT);
        }
    }

    /// Completes the character that has begun, and returns the bytes after it.
    fn complete<'a>(&mut self, mut bytes: &'a [u8], out: &mut impl FnMut(&[u8])) -> &'a [u8] {
        while !self.begun.is_empty()
            && let Some((byte, rest)) = bytes.split_first()
        {
            self.begun.push(*byte);
            if is_begun(&self.begun) {
                bytes = rest;
            } else if std::str::from_utf8(&self.begun).is_ok() {
                out(&self.begun);
                self.begun.clear();
                bytes = rest;
            } else {
                // The new byte does not belong to it, and may begin another one.
                out(REPLACEMENT);
                self.begun.clear();
            }
        }
        bytes
    }
}

/// Whether `bytes` are the beginning of a character, and not the whole of it.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    fn repaired(parts: &[&[u8]]) -> String {
        let mut utf8 = Utf8::default();
        let mut shown = Vec::new();
        for part in parts {
            utf8.push(part, &mut |bytes| shown.extend_from_slice(bytes));
        }
        utf8.finish(&mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_character_in_two_parts_stays_whole() {
        assert_eq!(repaired(&[b"a \xe2\x82", b"\xac b"]), "a \u{20ac} b");
        assert_eq!(repaired(&[b"\xf0", b"\x9f", b"\x98", b"\x80"]), "\u{1f600}");
    }

    #[test]
    fn a_character_that_never_ends_is_replaced() {
        assert_eq!(repaired(&[b"a\xe2\x82"]), "a\u{fffd}");
        assert_eq!(repaired(&[b"a\xe2\x82", b"\xe2\x82\xac"]), "a\u{fffd}\u{20ac}");
        assert_eq!(repaired(&[b"\xff\xfe", b"x"]), "\u{fffd}\u{fffd}x");
    }

    /// Whole characters, beginnings of some, and bytes that are never part of one.
    const PARTS: [&[u8]; 7] =
        [b"\xf0\x9f\x98\x80", b"\xe2\x82\xac", b"\xc3", b"\x80", b"\xed\xa0\x80", b"abc", b"\xff"];

    proptest! {
        #[test]
        fn it_is_what_the_standard_library_makes_of_the_whole(
            parts in vec(proptest::sample::select(&PARTS[..]), 0..20),
            cuts in vec(any::<Index>(), 0..12),
        ) {
            let text = parts.concat();
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let cut: Vec<_> = places.windows(2).map(|place| text.get(place[0]..place[1]).unwrap()).collect();
            prop_assert_eq!(repaired(&cut), String::from_utf8_lossy(&text));
        }
    }
}
