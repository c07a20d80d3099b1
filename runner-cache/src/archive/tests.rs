use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{File, FileTimes, Permissions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use runner_core::CacheScope;
use tempfile::TempDir;

use super::*;
use crate::{blocking::Interrupt, reader::OwnFiles};

/// A tree to save, a place for the entry, and an empty tree to restore to.
struct Place {
    all: TempDir,
}

impl Place {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            fs_err::create_dir(all.path().join(name)).unwrap();
        }
        Self { all }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.all.path().join(name)
    }

    fn put(&self, name: impl AsRef<Path>, content: &[u8]) {
        let place = self.path("from").join(name);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(place, content).unwrap();
    }

    fn objects(&self) -> Vec<Object> {
        let path = self.path("entry").to_str().unwrap().to_owned();
        vec![Object { name: OBJECT.into(), location: Location::Path(path) }]
    }

    async fn save(&self) -> Result<Summary> {
        let scope = CacheScope { runner: String::new(), project: "1".into(), protected: false };
        let grant = WriteGrant { scope, key: "k".into(), id: "1".into(), objects: self.objects() };
        save(&grant, &self.path("from"), everything_below(&self.path("from")), Arc::new(OwnFiles)).await
    }

    async fn restore(&self) -> Result<Summary> {
        restore(&ReadGrant { key: "k".into(), objects: self.objects() }, &self.path("to")).await
    }

    fn assert_same(&self) {
        assert_eq!(picture(&self.path("from")), picture(&self.path("to")));
    }
}

fn everything_below(root: &Path) -> Vec<PathBuf> {
    picture(root).into_keys().collect()
}

/// What can be seen of a tree: by path the mode, the time, and the content or target.
fn picture(root: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let place = entry.unwrap().path();
            let found = fs_err::symlink_metadata(&place).unwrap();
            let (mode, mut time) = (found.mode(), (found.mtime(), found.mtime_nsec()));
            let content = if found.is_dir() {
                folders.push(place.clone());
                Vec::new()
            } else if found.is_symlink() {
                // The time of a link itself is of no use to anybody, and not kept.
                time = (0, 0);
                fs_err::read_link(&place).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs_err::read(&place).unwrap()
            };
            let path = place.strip_prefix(root).unwrap().to_owned();
            seen.insert(path, (mode, time.0, time.1, content));
        }
    }
    seen
}

#[tokio::test]
async fn what_is_saved_is_restored() {
    let place = Place::new();
    place.put("plain", b"text");
    place.put("empty", b"");
    place.put("deep/er/and/deeper/file", &vec![7; 300_000]);
    place.put(OsStr::from_bytes(b"odd\xff\n [name] \\ *"), b"odd");
    place.put("long/".to_owned() + &"n".repeat(250), b"long");
    place.put("way/".repeat(60) + "down", b"long path");
    place.put("script", b"#!/bin/sh");
    let from = place.path("from");
    fs_err::set_permissions(from.join("script"), Permissions::from_mode(0o750)).unwrap();
    fs_err::create_dir(from.join("empty folder")).unwrap();
    symlink("plain", from.join("link")).unwrap();
    symlink("/nowhere/".to_owned() + &"t".repeat(200), from.join("dangling")).unwrap();
    symlink("deep", from.join("link to folder")).unwrap();
    fs_err::set_permissions(from.join("empty folder"), Permissions::from_mode(0o555)).unwrap();
    let saved = place.save().await.unwrap();
    assert_eq!(saved.archive_bytes, fs_err::metadata(place.path("entry")).unwrap().len());
    let restored = place.restore().await.unwrap();
    place.assert_same();
    assert_eq!((saved.files, saved.bytes), (restored.files, restored.bytes));
    assert_eq!(saved.bytes, 4 + 300_000 + 3 + 4 + 9 + 9);
}

#[tokio::test]
async fn names_of_one_file_stay_names_of_one_file() {
    let place = Place::new();
    place.put("a", b"shared");
    fs_err::create_dir(place.path("from/z")).unwrap();
    fs_err::hard_link(place.path("from/a"), place.path("from/z/b")).unwrap();
    let saved = place.save().await.unwrap();
    place.restore().await.unwrap();
    let inode = |name: &str| fs_err::metadata(place.path("to").join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("z/b"));
    assert_eq!(saved.bytes, 6);
}

#[tokio::test]
async fn a_restore_replaces_files_and_leaves_others() {
    let place = Place::new();
    place.put("sub/mine", b"new");
    place.save().await.unwrap();
    fs_err::create_dir(place.path("to/sub")).unwrap();
    fs_err::write(place.path("to/sub/mine"), "old and longer").unwrap();
    fs_err::write(place.path("to/sub/other"), "kept").unwrap();
    place.restore().await.unwrap();
    assert_eq!(fs_err::read(place.path("to/sub/mine")).unwrap(), b"new");
    assert_eq!(fs_err::read(place.path("to/sub/other")).unwrap(), b"kept");
}

#[tokio::test]
async fn a_damaged_entry_touches_nothing() {
    let place = Place::new();
    place.put("file", &(0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    place.save().await.unwrap();
    let whole = fs_err::read(place.path("entry")).unwrap();
    let cut = |count: usize| whole.iter().copied().take(count).collect::<Vec<_>>();
    let flipped = |index: usize| {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        bytes
    };
    let size = whole.len();
    let mut cases = vec![Vec::new(), b"garbage".to_vec(), vec![0; 1000]];
    cases.extend([1, 63, 64, 65, size / 2, size - 64, size - 1].map(cut));
    cases.extend([0, 5, size / 2, size - 64, size - 50, size - 1].map(flipped));
    for case in cases {
        fs_err::write(place.path("entry"), &case).unwrap();
        let error = place.restore().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{} bytes", case.len());
        assert!(error.chain().contains("/entry") && error.chain().contains("remove the file"), "{error:?}");
        assert!(picture(&place.path("to")).is_empty(), "{} bytes", case.len());
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named() {
    let place = Place::new();
    let error = place.restore().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.chain().contains("/entry"), "{error:?}");
    fs_err::create_dir(place.path("entry")).unwrap();
    let error = place.restore().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.chain().contains("/entry"), "{error:?}");
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let place = Place::new();
    place.put("file", b"x");
    let full = fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let cause =
        write::write(full, &place.path("from"), &[PathBuf::from("file")], &OwnFiles, &Interrupt::default())
            .unwrap_err();
    assert_eq!(io_error("save the cache", cause).kind(), ErrorKind::Exhausted);
}

#[tokio::test]
async fn a_socket_is_left_out_and_a_vanished_file_too() {
    let place = Place::new();
    place.put("file", b"x");
    let listener = std::os::unix::net::UnixListener::bind(place.path("from/socket")).unwrap();
    let files = ["file", "gone", "socket"].map(PathBuf::from);
    let output = File::create(place.path("entry")).unwrap();
    let saved = write::write(output, &place.path("from"), &files, &OwnFiles, &Interrupt::default()).unwrap();
    drop(listener);
    assert_eq!((saved.files, saved.left_out), (1, 2));
    place.restore().await.unwrap();
}

#[tokio::test]
async fn tar_and_zstd_can_read_an_entry() {
    let place = Place::new();
    place.put("folder/file", b"text");
    place.save().await.unwrap();
    let bytes = zstd::decode_all(File::open(place.path("entry")).unwrap()).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xf", "-", "-C"]).arg(place.path("to")).stdin(Stdio::piped());
    let mut child = tar.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
    place.assert_same();
}

/// An entry with a good seal around a hostile tar stream.
fn forge(place: &Place, build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    let tar = builder.into_inner().unwrap();
    let mut sealing = seal::Sealing::new(File::create(place.path("entry")).unwrap());
    sealing.write_all(&zstd::encode_all(tar.as_slice(), 1).unwrap()).unwrap();
    sealing.finish(1, 1).unwrap();
}

fn forged_header(name: &str, kind: tar::EntryType, target: &str) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(0);
    header.set_cksum();
    header
}

#[tokio::test]
async fn a_hostile_entry_writes_nothing_outside() {
    use tar::EntryType as Kind;
    let cases: [&[(&str, Kind, &str)]; 8] = [
        &[("../evil", Kind::Regular, "")],
        &[("/tmp/evil-of-a-test", Kind::Regular, "")],
        &[("a/../../evil", Kind::Directory, "")],
        &[("device", Kind::Char, "")],
        &[("pipe", Kind::Fifo, "")],
        &[("hard", Kind::Link, "../entry")],
        &[("link", Kind::Symlink, ".."), ("hard", Kind::Link, "link/entry")],
        &[("link", Kind::Symlink, ".."), ("link/evil", Kind::Regular, "")],
    ];
    for case in cases {
        let place = Place::new();
        forge(&place, |builder| {
            for (name, kind, target) in case {
                builder.append(&forged_header(name, *kind, target), io::empty()).unwrap();
            }
        });
        place.restore().await.unwrap_err();
        assert!(!place.path("evil").exists() && !Path::new("/tmp/evil-of-a-test").exists(), "{case:?}");
    }
}

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>, u32, u64),
    Folder,
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::collection::vec(1_u8..=255, 1..20).prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != b'/');
        bytes.push(b'_');
        bytes
    });
    let plain = prop::sample::select(vec!["a", "b", "c", "src", "..a", "-x", " "])
        .prop_map(|s| s.as_bytes().to_vec());
    prop_oneof![plain, odd].prop_filter("not . and ..", |name| name != b"." && name != b"..")
}

fn tree() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, Node)>> {
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    let node = prop_oneof![
        (content, 0_u32..0o1000, 0_u64..4_000_000_000_000_000_000).prop_map(|(c, m, t)| Node::File(
            c,
            m | 0o400,
            t
        )),
        Just(Node::Folder),
        prop::collection::vec(1_u8..=255, 1..150).prop_map(Node::Link),
    ];
    prop::collection::vec((prop::collection::vec(name(), 1..4), node), 0..15)
}

/// Makes a node; one that cannot be there, since another is in its place, is left out.
fn make(root: &Path, path: &[Vec<u8>], node: &Node) {
    let place = path.iter().fold(root.to_owned(), |place, part| place.join(OsStr::from_bytes(part)));
    // Never through a link, which may lead anywhere.
    let is_link = |place: &Path| fs_err::symlink_metadata(place).is_ok_and(|found| found.is_symlink());
    if place.ancestors().take_while(|place| *place != root).any(is_link) {
        return;
    }
    if fs_err::create_dir_all(place.parent().unwrap()).is_err() {
        return;
    }
    match node {
        Node::File(content, mode, time) => {
            let Ok(mut file) = File::create_new(&place) else { return };
            file.write_all(content).unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(*time);
            file.set_times(FileTimes::new().set_modified(modified)).unwrap();
            file.set_permissions(Permissions::from_mode(*mode)).unwrap();
        }
        Node::Folder => drop(fs_err::create_dir(&place)),
        Node::Link(target) => drop(symlink(OsStr::from_bytes(target), &place)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_survives(nodes in tree()) {
        let place = Place::new();
        for (path, node) in &nodes {
            make(&place.path("from"), path, node);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            place.save().await.unwrap();
            place.restore().await.unwrap();
        });
        place.assert_same();
    }
}

#[tokio::test]
async fn a_save_that_is_dropped_at_any_moment_leaves_nothing() {
    let noise: Vec<u8> =
        (0_u64..200_000).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect();
    for patience in [0, 1, 10, 100, 1_000, 10_000] {
        // A place of its own, as each save has: the thread of an earlier one may still be about to remove its file.
        let place = Place::new();
        place.put("noise", &noise);
        let finished = tokio::select! {
            biased;
            saved = place.save() => saved.is_ok(),
            () = async { for _ in 0..patience { tokio::task::yield_now().await } } => false,
        };
        // The thread that packs ends soon.
        while !finished && place.path("entry").exists() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_link_leads_exactly_where_it_led() {
    let place = Place::new();
    for (name, target) in
        [("a", "//x"), ("b", "x//y"), ("c", "x/./y"), ("d", "x/"), ("e", "./x"), ("f", "x/../y")]
    {
        symlink(target, place.path("from").join(name)).unwrap();
    }
    symlink("x/".repeat(150), place.path("from").join("long")).unwrap();
    place.save().await.unwrap();
    place.restore().await.unwrap();
    place.assert_same();
}
