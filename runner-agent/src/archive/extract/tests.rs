use std::{
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
};

use runner_core::ErrorKind;
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

/// A folder to unpack into, beside one that nothing may touch.
struct Place {
    all: TempDir,
}

impl Place {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        fs_err::create_dir(all.path().join("root")).unwrap();
        fs_err::create_dir(all.path().join("outside")).unwrap();
        fs_err::write(all.path().join("outside/keep"), "kept").unwrap();
        Self { all }
    }

    fn root(&self) -> PathBuf {
        self.all.path().join("root")
    }

    /// Unpacks an archive that `build` makes.
    async fn unpack(&self, build: impl FnOnce(&mut ZipWriter<File>)) -> Result<Summary> {
        let archive = self.all.path().join("a.zip");
        let mut zip = ZipWriter::new(File::create(&archive).unwrap());
        build(&mut zip);
        zip.finish().unwrap();
        extract(&archive, &self.root()).await
    }

    fn assert_nothing_else(&self, names: &[&str]) {
        let mut seen: Vec<_> =
            fs_err::read_dir(self.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
        seen.sort();
        assert_eq!(seen, names);
        assert_eq!(fs_err::read_dir(self.all.path()).unwrap().count(), 3);
        assert_eq!(fs_err::read_to_string(self.all.path().join("outside/keep")).unwrap(), "kept");
    }
}

fn put(zip: &mut ZipWriter<File>, name: &str, mode: u32, content: &[u8]) {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .external_attributes(mode << 16);
    zip.start_file_with_options(options.name(name.as_bytes())).unwrap();
    zip.write_all(content).unwrap();
}

#[tokio::test]
async fn a_hostile_name_is_refused_before_anything_is_written() {
    for name in ["../outside/evil", "/tmp/evil-of-a-zip", "a/../../outside/evil", "..", "a\0b", "/"] {
        let place = Place::new();
        let unpacked = place.unpack(|zip| {
            put(zip, "good", FILE | 0o644, b"x");
            put(zip, name, FILE | 0o644, b"evil");
        });
        assert_eq!(unpacked.await.unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
        place.assert_nothing_else(&[]);
        assert!(!Path::new("/tmp/evil-of-a-zip").exists());
    }
}

#[tokio::test]
async fn devices_and_pipes_are_refused() {
    for kind in [0o020_000, 0o060_000, 0o010_000, 0o140_000] {
        let place = Place::new();
        let error = place.unpack(|zip| put(zip, "device", kind | 0o644, b"")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.chain().contains("device"), "{error:?}");
        place.assert_nothing_else(&[]);
    }
}

#[tokio::test]
async fn nothing_is_written_through_links() {
    let place = Place::new();
    symlink("../outside", place.root().join("there")).unwrap();
    let error = place.unpack(|zip| put(zip, "there/evil", FILE | 0o644, b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    place.assert_nothing_else(&["there"]);

    let place = Place::new();
    let brought = place.unpack(|zip| {
        put(zip, "link", LINK | 0o777, b"../outside");
        put(zip, "link/evil", FILE | 0o644, b"x");
    });
    brought.await.unwrap_err();
    place.assert_nothing_else(&["link"]);
    assert!(place.root().join("link").symlink_metadata().unwrap().is_dir());
}

#[tokio::test]
async fn what_cannot_fit_is_refused_with_both_figures() {
    let place = Place::new();
    let archive = place.all.path().join("a.zip");
    let mut zip = ZipWriter::new(File::create(&archive).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    zip.start_file("bomb", options).unwrap();
    zip.write_all(b"x").unwrap();
    zip.finish().unwrap();
    // The archive says of its one byte that it unpacks to petabytes.
    let mut bytes = fs_err::read(&archive).unwrap();
    let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let extra = central + 46 + 4;
    bytes[central + 24..central + 28].copy_from_slice(&[0xff; 4]);
    let claim = 3_000_000_000_000_000_u64.to_le_bytes();
    if bytes.get(extra..extra + 2) == Some(&[1, 0]) {
        bytes[extra + 4..extra + 12].copy_from_slice(&claim);
    } else {
        let field = [&[1, 0, 8, 0][..], &claim].concat();
        bytes.splice(extra..extra, field);
        bytes[central + 30..central + 32].copy_from_slice(&12_u16.to_le_bytes());
        let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
        let size = u32::try_from(end - central).unwrap();
        bytes[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    }
    fs_err::write(&archive, bytes).unwrap();
    let error = extract(&archive, &place.root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error:?}");
    assert!(error.chain().contains("3000000000000000 bytes"), "{error:?}");
    place.assert_nothing_else(&[]);
}

#[tokio::test]
async fn a_bomb_unpacks_to_no_more_than_it_says() {
    let place = Place::new();
    let archive = place.all.path().join("a.zip");
    let mut zip = ZipWriter::new(File::create(&archive).unwrap());
    zip.start_file("bomb", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
        .unwrap();
    zip.write_all(&vec![0; 3_000_000]).unwrap();
    zip.finish().unwrap();
    let mut bytes = fs_err::read(&archive).unwrap();
    let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[central + 24..central + 28].copy_from_slice(&1000_u32.to_le_bytes());
    fs_err::write(&archive, bytes).unwrap();
    let error = extract(&archive, &place.root()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    let written = fs_err::metadata(place.root().join("bomb")).map_or(0, |found| found.len());
    assert!(written <= 1000, "{written}");
}

#[tokio::test]
async fn what_is_no_zip_is_corrupt() {
    let place = Place::new();
    let archive = place.all.path().join("a.zip");
    for content in [&b""[..], b"garbage", b"PK\x05\x06", &[0; 10_000]] {
        fs_err::write(&archive, content).unwrap();
        let error = extract(&archive, &place.root()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    }
    place.assert_nothing_else(&[]);
}

#[tokio::test]
async fn a_damaged_or_cut_archive_is_corrupt() {
    let place = Place::new();
    place.unpack(|zip| put(zip, "file", FILE | 0o644, &[b'a'; 5000])).await.unwrap();
    let archive = place.all.path().join("a.zip");
    let whole = fs_err::read(&archive).unwrap();
    let mut flipped = whole.clone();
    flipped[2000] ^= 1;
    for content in [&flipped[..], &whole[..3000], &whole[..whole.len() - 1]] {
        fs_err::write(&archive, content).unwrap();
        let error = extract(&archive, &place.root()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    }
}

#[tokio::test]
async fn archives_of_other_tools_are_understood() {
    let place = Place::new();
    let unpacked = place.unpack(|zip| {
        put(zip, "./", FOLDER | 0o755, b"");
        put(zip, "no mode", 0, b"1");
        put(zip, "folder/", 0, b"");
        put(zip, "folder/tool", FILE | 0o755, b"2");
        put(zip, "link", LINK | 0o777, b"folder/tool");
    });
    assert_eq!(unpacked.await.unwrap().files, 4);
    place.assert_nothing_else(&["folder", "link", "no mode"]);
    let mode = |name: &str| fs_err::metadata(place.root().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("no mode"), mode("folder"), mode("folder/tool")), (0o644, 0o755, 0o755));
    assert_eq!(fs_err::read(place.root().join("link")).unwrap(), b"2");
}
