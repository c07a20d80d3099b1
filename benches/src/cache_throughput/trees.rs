//! Trees as caches of jobs are.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of trees are positive and fit"
)]

use std::{io::Write, os::unix::fs::FileExt, path::Path};

use anyhow::Result;

/// What kind of tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Tens of thousands of small files, as of a package manager.
    Many,
    /// A few large ones, as of a compiler.
    Large,
    /// What nothing makes smaller, as archives and pictures.
    Noise,
}

/// What was made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Many => "many",
            Self::Large => "large",
            Self::Noise => "noise",
        }
    }
}

/// Makes a tree at `place`, the same each time; `scale` is the part of its full size.
pub(crate) fn make(kind: Kind, place: &Path, scale: f64) -> Result<Made> {
    let scaled = |full: u64| (full as f64 * scale) as u64;
    let mut maker = Maker { random: fastrand::Rng::with_seed(6), words: Vec::new(), made: Made::default() };
    maker.words = (0..20_000).map(|_| maker.word()).collect();
    match kind {
        Kind::Many => {
            for number in 0..scaled(27_500) {
                let package = format!("node_modules/package-{}/lib/{}", number / 23, number % 3);
                // Most files are small, and most bytes are in few.
                let size = (maker.random.f64().powi(4) * 190_000.0) as usize + 200;
                let is_text = !number.is_multiple_of(5);
                maker.file(&place.join(package), &format!("file-{number}.js"), size, is_text)?;
            }
        }
        Kind::Large => {
            for number in 0..6 {
                let is_text = number % 2 == 0;
                maker.file(place, &format!("library-{number}.a"), scaled(128 << 20) as usize, is_text)?;
            }
        }
        Kind::Noise => {
            for number in 0..8 {
                maker.noise(place, &format!("archive-{number}.gz"), scaled(64 << 20) as usize)?;
            }
        }
    }
    Ok(maker.made)
}

/// Changes one percent of the files of a tree, at least one. Returns how many.
pub(crate) fn change(place: &Path) -> Result<u64> {
    let mut files = Vec::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files.sort_unstable();
    let changed: Vec<_> = files.iter().step_by(100).collect();
    for file in &changed {
        // In place: a large file read into memory would be measured as ours.
        let file = fs_err::File::options().write(true).open(file)?;
        file.file().write_all_at(b"changed", file.metadata()?.len() / 2)?;
    }
    Ok(changed.len() as u64)
}

struct Maker {
    random: fastrand::Rng,
    words: Vec<String>,
    made: Made,
}

impl Maker {
    fn word(&mut self) -> String {
        let length = self.random.usize(2..12);
        (0..length).map(|_| self.random.lowercase()).collect()
    }

    /// A file of which text becomes some four times smaller, and the rest some two times.
    fn file(&mut self, folder: &Path, name: &str, size: usize, is_text: bool) -> Result<()> {
        let mut content = Vec::with_capacity(size + 64);
        while content.len() < size {
            if is_text {
                // Few words are frequent.
                let rank = self.random.f64().powi(6) * self.words.len() as f64;
                let word = self.words.get(rank as usize).map_or("", String::as_str);
                content.extend_from_slice(word.as_bytes());
                content.extend_from_slice(
                    [" ", " ", "();\n  ", ".", " = ", "\n"][self.random.usize(..6)].as_bytes(),
                );
            } else {
                let mut bytes = [0; 8];
                self.random.fill(&mut bytes);
                content.extend_from_slice(&bytes);
                content.extend_from_slice(&[0, 0, 0, 0, 72, 139, 69, 248]);
            }
        }
        content.truncate(size);
        self.write(folder, name, &content)
    }

    fn noise(&mut self, folder: &Path, name: &str, size: usize) -> Result<()> {
        let mut content = vec![0; size];
        self.random.fill(&mut content);
        self.write(folder, name, &content)
    }

    fn write(&mut self, folder: &Path, name: &str, content: &[u8]) -> Result<()> {
        fs_err::create_dir_all(folder)?;
        fs_err::File::create(folder.join(name))?.write_all(content)?;
        self.made.files += 1;
        self.made.bytes += content.len() as u64;
        Ok(())
    }
}
