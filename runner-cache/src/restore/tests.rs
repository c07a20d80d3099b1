//! Entries that nobody would have saved.

use std::path::Path;

use runner_core::cache::Object;

use super::*;
use crate::{
    head::{Pack, Place},
    index::{Chunk, Digest, Extent, Frame, Node, Written, to_bytes},
};

/// An entry whose head, digests and frames are right, and whose index says what it should not.
struct Forged {
    all: tempfile::TempDir,
    frames: Vec<Option<Frame>>,
    chunks: Vec<Chunk>,
    entries: Written,
    pack: Vec<u8>,
    bytes: u64,
}

const CONTENT: &[u8] = b"some content of a file";

impl Forged {
    /// With one chunk.
    fn new() -> Self {
        let pack = zstd::bulk::compress(CONTENT, 3).unwrap();
        let (size, length) = (CONTENT.len() as u32, pack.len() as u32);
        let digest = *blake3::hash(&pack).as_bytes();
        let frame = Frame { pack: 0, offset: 0, length, size, digest, first: 0, count: 1 };
        let chunk = Chunk { digest: digest_of(CONTENT), frame: 0, offset: 0, length: size };
        let all = tempfile::tempdir().unwrap();
        fs_err::create_dir(all.path().join("root")).unwrap();
        fs_err::create_dir(all.path().join("outside")).unwrap();
        Self {
            all,
            frames: vec![Some(frame)],
            chunks: vec![chunk],
            entries: Written::default(),
            pack,
            bytes: 0,
        }
    }

    fn file(mut self, path: &str, size: u64, extents: Vec<Extent>) -> Self {
        self.bytes = self.bytes.wrapping_add(size);
        self.entries.push(Path::new(path), &Node::File { mode: 0o644, modified: (1, 0), size, extents });
        self
    }

    /// A file that is right.
    fn good(self, path: &str) -> Self {
        self.file(path, CONTENT.len() as u64, vec![Extent::Chunks { first: 0, count: 1 }])
    }

    fn node(mut self, path: &str, node: &Node) -> Self {
        self.entries.push(Path::new(path), node);
        self
    }

    /// Tries to restore it.
    async fn restore(mut self) -> Result<Restored> {
        let index = to_bytes(&self.frames, &self.chunks, &self.entries).unwrap();
        let offset = self.pack.len() as u64;
        self.pack.extend_from_slice(&index);
        let place = self.all.path().join("pack");
        fs_err::write(&place, &self.pack).unwrap();
        let name = PackName::new("0123456789abcdef0123456789abcdef", 0).unwrap();
        let head = Head {
            made: 1,
            files: u64::from(self.entries.count()),
            bytes: self.bytes,
            index: Place { pack: 0, offset, length: index.len() as u64, digest: blake3::hash(&index) },
            packs: vec![Pack { name: name.clone(), size: self.pack.len() as u64, day: 1 }],
        };
        let location = Location::Path(place.to_str().unwrap().to_owned());
        let objects = vec![Object { name: name.to_string(), location }];
        let grant = ReadGrant { key: "k".into(), format: CacheFormat::Packs, head: head.to_text(), objects };
        let root = self.all.path().join("root");
        let restored = restore(&grant, &root, &Transfer::default()).await;
        assert_eq!(fs_err::read_dir(self.all.path().join("outside")).unwrap().count(), 0);
        if restored.is_err() {
            assert_eq!(fs_err::read_dir(root).unwrap().count(), 0, "something was touched");
        }
        restored
    }
}

fn digest_of(content: &[u8]) -> Digest {
    *blake3::hash(content).as_bytes()
}

#[tokio::test]
async fn a_forged_entry_that_is_right_is_restored() {
    // Else the tests below would prove nothing.
    Forged::new().good("a/b").good("c").restore().await.unwrap();
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused() {
    for path in [
        "../outside/x",
        "/tmp/evil-of-a-test",
        "a/../../outside/x",
        "..",
        ".",
        "",
        "a/",
        "a//b",
        "a\0b",
        "./a",
    ] {
        Forged::new().good(path).restore().await.unwrap_err();
    }
    assert!(!Path::new("/tmp/evil-of-a-test").exists());
}

#[tokio::test]
async fn nothing_goes_through_a_link_or_a_file_of_the_entry() {
    let link = |target: &str| Node::Link { target: target.as_bytes().to_vec() };
    Forged::new().node("link", &link("../outside")).good("link/x").restore().await.unwrap_err();
    Forged::new().good("file").good("file/x").restore().await.unwrap_err();
    Forged::new().node("link", &link("")).restore().await.unwrap_err();
    Forged::new().node("link", &link("a\0b")).restore().await.unwrap_err();
    Forged::new().node("link", &link("../outside")).good("other").restore().await.unwrap();
}

#[tokio::test]
async fn names_in_another_order_or_twice_are_refused() {
    Forged::new().good("b").good("a").restore().await.unwrap_err();
    Forged::new().good("a").good("a").restore().await.unwrap_err();
}

#[tokio::test]
async fn hard_links_lead_to_a_file_of_the_entry() {
    for file in [0, 1, 2, u32::MAX] {
        let folder = Node::Folder { mode: 0o755, modified: (1, 0) };
        Forged::new()
            .node("a", &folder)
            .node("b", &Node::HardLink { file })
            .good("c")
            .restore()
            .await
            .unwrap_err();
    }
    Forged::new().good("a").node("b", &Node::HardLink { file: 0 }).restore().await.unwrap();
}

#[tokio::test]
async fn content_that_is_not_there_is_refused() {
    let chunks = |first, count| vec![Extent::Chunks { first, count }];
    let size = CONTENT.len() as u64;
    for (size, extents) in [
        (size, chunks(1, 1)),
        (size, chunks(0, 2)),
        (size, chunks(0, 0)),
        (size, chunks(u32::MAX, 1)),
        (size, chunks(0, u32::MAX)),
        (size + 1, chunks(0, 1)),
        (size - 1, chunks(0, 1)),
        (size, Vec::new()),
        (size, vec![Extent::Hole(u64::MAX), Extent::Hole(size + 1)]),
    ] {
        Forged::new().file("a", size, extents).restore().await.unwrap_err();
    }
}

#[tokio::test]
async fn petabytes_are_refused_before_a_byte_is_written() {
    // A file that is the same chunk a thousand times, a thousand times over.
    let mut forged = Forged::new();
    let size = LARGE as u32;
    forged.chunks[0].length = size;
    forged.frames[0].as_mut().unwrap().size = size;
    let extents = vec![Extent::Chunks { first: 0, count: 1 }; 1000];
    for number in 0..1000 {
        forged = forged.file(&format!("{number:06}"), 1000 * LARGE, extents.clone());
    }
    let error = forged.restore().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error:?}");
}

const LARGE: u64 = 16 << 20;

#[tokio::test]
async fn a_frame_that_is_not_what_the_index_says_is_refused() {
    for change in [
        |frame: &mut Frame| frame.length -= 1,
        |frame: &mut Frame| frame.offset += 1,
        |frame: &mut Frame| frame.digest[0] ^= 1,
        |frame: &mut Frame| frame.length = u32::MAX,
        |frame: &mut Frame| frame.pack = 1,
    ] {
        let mut forged = Forged::new().good("a");
        change(forged.frames[0].as_mut().unwrap());
        forged.restore().await.unwrap_err();
    }
    // Content that is more than the index says.
    for length in [1, 200] {
        let mut forged = Forged::new();
        forged.chunks[0].length = length;
        forged.frames[0].as_mut().unwrap().size = length;
        let forged = forged.file("a", u64::from(length), vec![Extent::Chunks { first: 0, count: 1 }]);
        assert_eq!(forged.restore().await.unwrap_err().kind(), ErrorKind::Corrupt, "{length}");
    }
}

#[tokio::test]
async fn a_head_that_counts_otherwise_is_refused() {
    let mut forged = Forged::new().good("a");
    forged.bytes += 1;
    forged.restore().await.unwrap_err();
}
