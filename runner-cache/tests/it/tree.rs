//! Trees of any form, and what can be seen of them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{FileTimes, Permissions},
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

/// What can be seen of a tree: by path the mode, the time, and the content or target.
pub(crate) fn picture(root: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
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
            } else if found.is_file() {
                fs_err::read(&place).unwrap()
            } else {
                Vec::new()
            };
            let path = place.strip_prefix(root).unwrap().to_owned();
            seen.insert(path, (mode, time.0, time.1, content));
        }
    }
    seen
}

/// All paths below `root`.
pub(crate) fn paths(root: &Path) -> Vec<PathBuf> {
    let (mut paths, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            paths.push(entry.path().strip_prefix(root).unwrap().to_owned());
        }
    }
    paths
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    File(Vec<u8>, u32, i64),
    Folder,
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::collection::vec(1_u8..=255, 1..20).prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != b'/');
        bytes.push(b'_');
        bytes
    });
    let plain = prop::sample::select(vec!["a", "a-", "b", "c", "src", "..a", "-x", " "])
        .prop_map(|s| s.as_bytes().to_vec());
    prop_oneof![plain, odd].prop_filter("not . and ..", |name| name != b"." && name != b"..")
}

pub(crate) fn tree() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, Node)>> {
    let small = prop::collection::vec(any::<u8>(), 0..2000);
    let large =
        (any::<u8>(), 0..400_000_usize).prop_map(|(seed, size)| crate::site::noise(seed.into(), size));
    let content = prop_oneof![8 => small, 1 => large];
    let times = -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000;
    let node = prop_oneof![
        (content, 0_u32..0o1000, times).prop_map(|(c, m, t)| Node::File(c, m | 0o400, t)),
        Just(Node::Folder),
        prop::collection::vec(1_u8..=255, 1..150).prop_map(Node::Link),
    ];
    prop::collection::vec((prop::collection::vec(name(), 1..4), node), 0..15)
}

/// Makes a tree; what cannot be there, since another is in its place, is left out.
pub(crate) fn make(root: &Path, nodes: &[(Vec<Vec<u8>>, Node)]) {
    for (path, node) in nodes {
        make_one(root, path, node);
    }
}

fn make_one(root: &Path, path: &[Vec<u8>], node: &Node) {
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
            let Ok(mut file) = fs_err::File::create_new(&place) else { return };
            file.write_all(content).unwrap();
            let since = Duration::from_nanos(time.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            let modified = if *time < 0 { epoch - since } else { epoch + since };
            file.file().set_times(FileTimes::new().set_modified(modified)).unwrap();
            file.set_permissions(Permissions::from_mode(*mode)).unwrap();
        }
        Node::Folder => drop(fs_err::create_dir(&place)),
        Node::Link(target) => drop(symlink(OsStr::from_bytes(target), &place)),
    }
}
