//! Artifacts, from the files of one job to those of the next.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{File, FileTimes, Permissions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use runner_agent::{
    DirectoryArtifacts,
    archive::{Level, Packed, Selection, Wanted, extract, pack, select},
};
use runner_cache::reader::OwnFiles;
use runner_core::{
    ArtifactStore, ArtifactUpload, Error,
    job::{ArtifactFormat, Dependency},
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

type Picture = BTreeMap<PathBuf, (u32, i64, Vec<u8>)>;

/// What can be seen of a tree: by path the mode, the time in seconds, and the content or target.
fn picture(root: &Path) -> io::Result<Picture> {
    let mut seen = Picture::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder)? {
            let place = entry?.path();
            let found = fs_err::symlink_metadata(&place)?;
            let (time, content) = if found.is_dir() {
                folders.push(place.clone());
                (found.mtime(), Vec::new())
            } else if found.is_symlink() {
                (0, fs_err::read_link(&place)?.as_os_str().as_bytes().to_vec())
            } else {
                (found.mtime(), fs_err::read(&place)?)
            };
            let path = place.strip_prefix(root).map_err(io::Error::other)?.to_owned();
            seen.insert(path, (found.mode(), time, content));
        }
    }
    Ok(seen)
}

fn everything() -> Wanted {
    Wanted { paths: vec!["**".into()], ..Wanted::default() }
}

/// Packs all of `from`, and unpacks it to `to`.
async fn carry(from: &Path, to: &Path, level: Level) -> Result<Selection, Error> {
    let selection = select(from, everything(), Arc::new(OwnFiles)).await?;
    let packed = Packed {
        folder: from.to_owned(),
        files: selection.files.clone(),
        format: ArtifactFormat::Zip,
        level,
        reader: Arc::new(OwnFiles),
    };
    let store = DirectoryArtifacts::new(to.with_extension("store"), "job");
    let artifact = ArtifactUpload {
        filename: "artifacts.zip".into(),
        kind: "archive".into(),
        format: ArtifactFormat::Zip,
        expire_in: None,
    };
    store.upload(&artifact, pack(packed).0).await?;
    let mut zip = Vec::new();
    let mut stream = store.download(&Dependency { name: "job".into(), ..Dependency::default() }).await?;
    let failed = |cause| runner_cache::io_error("carry", cause);
    stream.read_to_end(&mut zip).await.map_err(failed)?;
    let archive = to.with_extension("zip");
    fs_err::write(&archive, zip).map_err(failed)?;
    extract(&archive, to).await?;
    Ok(selection)
}

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>, u32, u32),
    Folder(u32),
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::collection::vec(1_u8..=255, 1..20).prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != b'/');
        bytes.push(b'_');
        bytes
    });
    let plain = prop::sample::select(vec!["a", "b", "c", "src", "..a", "-x", " ", "[a]", "{b}", "ü\n"]);
    prop_oneof![plain.prop_map(|name| name.as_bytes().to_vec()), odd]
}

fn tree() -> impl Strategy<Value = Vec<(Vec<Vec<u8>>, Node)>> {
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    let node = prop_oneof![
        (content, 0_u32..0o1000, any::<u32>()).prop_map(|(bytes, mode, time)| Node::File(
            bytes,
            mode | 0o400,
            time
        )),
        (0_u32..0o1000).prop_map(|mode| Node::Folder(mode | 0o500)),
        prop::collection::vec(1_u8..=255, 1..150).prop_map(Node::Link),
    ];
    prop::collection::vec((prop::collection::vec(name(), 1..4), node), 0..15)
}

/// Makes a node; one that cannot be there, since another is in its place, is left out.
fn make(root: &Path, path: &[Vec<u8>], node: &Node) -> io::Result<()> {
    let place = path.iter().fold(root.to_owned(), |place, part| place.join(OsStr::from_bytes(part)));
    let parent = place.parent().unwrap_or(root);
    // Never through a link, which may lead anywhere.
    if place.ancestors().take_while(|place| *place != root).any(Path::is_symlink) {
        return Ok(());
    }
    if fs_err::create_dir_all(parent).is_err() {
        return Ok(());
    }
    match node {
        Node::File(content, mode, time) => {
            let Ok(mut file) = File::create_new(&place) else { return Ok(()) };
            file.write_all(content)?;
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*time));
            file.set_times(FileTimes::new().set_modified(modified))?;
            file.set_permissions(Permissions::from_mode(*mode))
        }
        Node::Folder(mode) => match fs_err::create_dir(&place) {
            Ok(()) => fs_err::set_permissions(&place, Permissions::from_mode(*mode | 0o200)),
            Err(_) => Ok(()),
        },
        Node::Link(target) => {
            drop(symlink(OsStr::from_bytes(target), &place));
            Ok(())
        }
    }
}

fn places() -> io::Result<(TempDir, PathBuf, PathBuf)> {
    let all = tempfile::tempdir()?;
    let (from, to) = (all.path().join("from"), all.path().join("to"));
    fs_err::create_dir(&from)?;
    fs_err::create_dir(&to)?;
    Ok((all, from, to))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_survives_as_artifacts(nodes in tree(), level in prop::sample::select(vec![Level::Fastest, Level::Default, Level::Slowest])) {
        let (_all, from, to) = places().unwrap();
        for (path, node) in &nodes {
            make(&from, path, node).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let selection = runtime.block_on(carry(&from, &to, level)).unwrap();
        prop_assert_eq!(selection.files.len(), picture(&from).unwrap().len());
        prop_assert_eq!(picture(&from).unwrap(), picture(&to).unwrap());
    }

    #[test]
    fn any_file_survives_as_a_report(content in prop::collection::vec(any::<u8>(), 0..50_000), name in name()) {
        let (_all, from, to) = places().unwrap();
        let path = PathBuf::from(OsStr::from_bytes(&name));
        fs_err::write(from.join(&path), &content).unwrap();
        let store = DirectoryArtifacts::new(&to, "job");
        let artifact = ArtifactUpload { filename: "x.gz".into(), kind: "junit".into(), format: ArtifactFormat::Gzip, expire_in: None };
        let packed = Packed { folder: from, files: vec![path.clone()], format: ArtifactFormat::Gzip, level: Level::Fast, reader: Arc::new(OwnFiles) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { store.upload(&artifact, pack(packed).0).await }).unwrap();
        prop_assert_eq!(fs_err::read(to.join("job/reports/junit").join(path)).unwrap(), content);
    }
}

#[tokio::test]
async fn ten_thousand_files_are_found_packed_and_unpacked() {
    let (_all, from, to) = places().unwrap();
    for folder in 0..100 {
        let folder = from.join(format!("folder-{folder}"));
        fs_err::create_dir(&folder).unwrap();
        for file in 0..100 {
            fs_err::write(folder.join(file.to_string()), file.to_string()).unwrap();
        }
    }
    let selection = carry(&from, &to, Level::Fast).await.unwrap();
    assert_eq!(selection.files.len(), 10_100);
    assert_eq!(picture(&from).unwrap().len(), picture(&to).unwrap().len());
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_little() {
    let (_all, from, _) = places().unwrap();
    let large = File::create(from.join("large")).unwrap();
    // A hole: it takes no space, and reads as zeros without end.
    large.set_len(1 << 40).unwrap();
    let packed = Packed {
        folder: from,
        files: vec!["large".into()],
        format: ArtifactFormat::Zip,
        level: Level::Fastest,
        reader: Arc::new(OwnFiles),
    };
    let (mut body, _) = pack(packed);
    let mut start = vec![0; 1 << 20];
    body.read_exact(&mut start).await.unwrap();
    assert!(start.starts_with(b"PK"));
}
