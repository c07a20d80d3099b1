//! Puts text on a terminal or into a file: lines that stay, and below them an area that is drawn anew.

use std::io::Write;

/// Writes lines that stay, and keeps an area below them where there is a terminal.
///
/// The cursor is always left at the start of the line after the area, so that a program that is killed leaves a clean
/// terminal.
pub(crate) struct Painter {
    out: Box<dyn Write + Send>,
    area: Vec<String>,
    /// Nobody reads any more, as with `runner exec | head`. The jobs go on.
    deaf: bool,
}

impl Painter {
    /// Writes to `out`.
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, area: Vec::new(), deaf: false }
    }

    /// Adds `lines` (each ends with a newline, or there are none) and replaces the area.
    pub(crate) fn paint(&mut self, lines: &str, area: Vec<String>) {
        if self.deaf || (lines.is_empty() && area == self.area) {
            return;
        }
        if self.area.is_empty() && area.is_empty() {
            return self.write(lines);
        }
        let mut frame = String::with_capacity(lines.len() + 256);
        if !self.area.is_empty() {
            // To the first line of the area, then clear all below.
            frame.push_str(&["\x1b[", &self.area.len().to_string(), "A\r\x1b[J"].concat());
        }
        frame.push_str(lines);
        for line in &area {
            frame.push_str(line);
            frame.push('\n');
        }
        self.area = area;
        self.write(&frame);
    }

    /// All at once, so that nothing flickers.
    fn write(&mut self, text: &str) {
        self.deaf = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn without_an_area_there_is_no_escape() {
        let out = Shared::default();
        let mut painter = Painter::new(Box::new(out.clone()));
        painter.paint("one\n", Vec::new());
        painter.paint("two\n", Vec::new());
        assert_eq!(*out.0.lock().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn lines_go_above_the_area_which_is_removed_at_the_end() {
        let out = Shared::default();
        let mut painter = Painter::new(Box::new(out.clone()));
        painter.paint("one\n", vec!["a".into(), "b".into()]);
        painter.paint("", vec!["a".into(), "b".into()]);
        painter.paint("two\n", Vec::new());
        assert_eq!(*out.0.lock().unwrap(), b"one\na\nb\n\x1b[2A\r\x1b[Jtwo\n");
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let mut painter = Painter::new(Box::new(Closed));
        painter.paint("one\n", Vec::new());
        assert!(painter.deaf);
        painter.paint("two\n", Vec::new());
    }
}
