//! What is saved is restored.

use std::{
    ffi::OsStr,
    fs::Permissions,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    },
};

use proptest::prelude::*;
use runner_cache::{Level, SaveOptions};
use runner_core::ErrorKind;

use crate::{
    site::{Site, noise},
    tree::{make, picture, tree},
};

#[tokio::test]
async fn what_is_saved_is_restored() {
    let site = Site::new();
    site.put("plain", b"text");
    site.put("empty", b"");
    site.put("deep/er/and/deeper/file", &vec![7; 300_000]);
    site.put("large", &noise(1, 20_000_000));
    site.put("again/and/again", &noise(1, 20_000_000));
    site.put(OsStr::from_bytes(b"odd\xff\n [name] \\ *"), b"odd");
    site.put("long/".to_owned() + &"n".repeat(250), b"long");
    site.put("way/".repeat(60) + "down", b"long path");
    site.put("script", b"#!/bin/sh");
    let from = site.path("from");
    fs_err::set_permissions(from.join("script"), Permissions::from_mode(0o750)).unwrap();
    fs_err::create_dir(from.join("empty folder")).unwrap();
    symlink("plain", from.join("link")).unwrap();
    symlink("/nowhere/".to_owned() + &"t".repeat(200), from.join("dangling")).unwrap();
    symlink("deep", from.join("link to folder")).unwrap();
    fs_err::set_permissions(from.join("empty folder"), Permissions::from_mode(0o555)).unwrap();
    let saved = site.save().await.unwrap();
    let restored = site.restore().await.unwrap();
    site.assert_same();
    assert_eq!((saved.files, saved.bytes), (restored.files, restored.bytes));
    assert_eq!(saved.bytes, 4 + 300_000 + 40_000_000 + 3 + 4 + 9 + 9);
    let stored = 20_000_000..20_200_000;
    assert!(stored.contains(&saved.stored), "the same content is stored once: {saved:?}");
    assert!((8..12).contains(&site.objects().len()), "packs of up to 3 MiB, and a head");
}

#[tokio::test]
async fn a_link_leads_exactly_where_it_led() {
    let site = Site::new();
    for (name, target) in
        [("a", "//x"), ("b", "x//y"), ("c", "x/./y"), ("d", "x/"), ("e", "./x"), ("f", "x/../y")]
    {
        symlink(target, site.path("from").join(name)).unwrap();
    }
    symlink("x/".repeat(150), site.path("from").join("long")).unwrap();
    site.save().await.unwrap();
    site.restore().await.unwrap();
    site.assert_same();
}

#[tokio::test]
async fn names_of_one_file_stay_names_of_one_file() {
    let site = Site::new();
    site.put("a", b"shared");
    fs_err::create_dir(site.path("from/z")).unwrap();
    fs_err::hard_link(site.path("from/a"), site.path("from/z/b")).unwrap();
    let saved = site.save().await.unwrap();
    site.restore().await.unwrap();
    let inode = |name: &str| fs_err::metadata(site.path("to").join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("z/b"));
    assert_eq!(saved.bytes, 6);
}

#[tokio::test]
async fn holes_need_no_space_and_no_time() {
    let site = Site::new();
    let file = fs_err::File::create(site.path("from/sparse")).unwrap();
    let length = 1 << 40;
    file.set_len(length).unwrap();
    file.file().write_all_at(&noise(1, 100_000), 1 << 35).unwrap();
    drop(file);
    fs_err::File::create(site.path("from/nothing")).unwrap().set_len(1 << 39).unwrap();
    let saved = site.save().await.unwrap();
    assert!(saved.stored < 200_000, "{saved:?}");
    site.restore().await.unwrap();
    let seen = |name: &str| fs_err::metadata(site.path("to").join(name)).unwrap();
    assert_eq!((seen("sparse").len(), seen("nothing").len()), (length, 1 << 39));
    assert!(seen("sparse").blocks() * 512 < 1_000_000 && seen("nothing").blocks() == 0);
    let mut content = vec![0; 100_000];
    fs_err::File::open(site.path("to/sparse")).unwrap().file().read_exact_at(&mut content, 1 << 35).unwrap();
    assert_eq!(content, noise(1, 100_000));
}

#[tokio::test]
async fn a_restore_replaces_files_and_leaves_others() {
    let site = Site::new();
    for name in ["sub/mine", "sub/folder/new", "sub/was folder", "top"] {
        site.put(name, b"new");
    }
    site.save().await.unwrap();
    let to = site.path("to");
    fs_err::create_dir_all(to.join("sub/was folder")).unwrap();
    fs_err::write(to.join("sub/mine"), "old and longer").unwrap();
    fs_err::write(to.join("sub/other"), "kept").unwrap();
    fs_err::write(to.join("sub/folder"), "was a file").unwrap();
    fs_err::set_permissions(to.join("sub"), Permissions::from_mode(0o555)).unwrap();
    site.restore().await.unwrap();
    assert_eq!(fs_err::read(to.join("sub/other")).unwrap(), b"kept");
    fs_err::remove_file(to.join("sub/other")).unwrap();
    let content = |name: &str| {
        picture(&site.path(name)).into_iter().map(|(path, seen)| (path, seen.3)).collect::<Vec<_>>()
    };
    assert_eq!(content("from"), content("to"));
}

#[tokio::test]
async fn a_folder_with_files_in_the_place_of_a_file_is_left_alone() {
    let site = Site::new();
    site.put("a", b"new");
    site.put("b", b"new");
    site.save().await.unwrap();
    fs_err::create_dir(site.path("to/b")).unwrap();
    fs_err::write(site.path("to/b/mine"), "mine").unwrap();
    let before = picture(&site.path("to"));
    assert_eq!(site.restore().await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(picture(&site.path("to")), before);
}

#[tokio::test]
async fn nothing_is_written_through_a_link_that_leads_out() {
    let site = Site::new();
    site.put("a", b"new");
    site.put("folder/b", b"new");
    site.save().await.unwrap();
    for target in [site.path("cache").to_str().unwrap(), "..", "nowhere", "a"] {
        symlink(target, site.path("to/folder")).unwrap();
        let (before, cache) = (picture(&site.path("to")), site.objects());
        let error = site.restore().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{target}: {error:?}");
        assert_eq!((picture(&site.path("to")), site.objects()), (before, cache), "{target}");
        fs_err::remove_file(site.path("to/folder")).unwrap();
    }
    fs_err::create_dir(site.path("to/real")).unwrap();
    symlink("real", site.path("to/folder")).unwrap();
    site.restore().await.unwrap();
    assert_eq!(fs_err::read(site.path("to/real/b")).unwrap(), b"new");
    assert!(fs_err::symlink_metadata(site.path("to/folder")).unwrap().is_symlink());
}

#[tokio::test]
async fn pipes_are_left_out_and_counted() {
    let site = Site::new();
    site.put("file", b"text");
    nix::unistd::mkfifo(&site.path("from/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let saved = site.save().await.unwrap();
    assert_eq!((saved.files, saved.left_out), (1, 1));
}

#[tokio::test]
async fn a_larger_level_makes_it_smaller() {
    let mut random = fastrand::Rng::with_seed(1);
    let words: Vec<Vec<u8>> = (0..2_000).map(|seed| noise(seed, 6)).collect();
    let words: Vec<u8> =
        (0..60_000).flat_map(|_| words[random.usize(0..40) * random.usize(0..50)].clone()).collect();
    let mut sizes = Vec::new();
    for level in [Level::Fastest, Level::Default, Level::Slowest] {
        // Each in a cache of its own, or else the chunks are there.
        let options = SaveOptions { level, ..SaveOptions::default() };
        let site = Site::new();
        site.put("words", &words);
        sizes.push(site.save_as("from", "key", &[], options).await.unwrap().stored);
    }
    assert!(sizes.is_sorted_by(|large, small| large > small), "{sizes:?}");
}

#[tokio::test]
async fn what_is_larger_than_the_limit_is_not_saved() {
    let site = Site::new();
    site.put("noise", &noise(1, 1_000_000));
    let limited = |limit| SaveOptions { limit: Some(limit), ..SaveOptions::default() };
    let error = site.save_as("from", "key", &[], limited(900_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error:?}");
    assert!(site.objects().is_empty(), "{:?}", site.objects());
    site.save_as("from", "key", &[], limited(1_100_000)).await.unwrap();
    site.put("more", &noise(2, 200_000));
    let error = site.save_as("from", "key", &[], limited(1_100_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "what was there counts: {error:?}");
}

#[tokio::test]
async fn a_save_that_is_dropped_at_any_moment_publishes_nothing() {
    for patience in [0, 1, 10, 100, 1_000, 10_000] {
        let site = Site::new();
        site.put("noise", &noise(1, 10_000_000));
        let finished = tokio::select! {
            biased;
            saved = site.save() => saved.is_ok(),
            () = async { for _ in 0..patience { tokio::task::yield_now().await } } => false,
        };
        let found =
            runner_core::CacheBackend::lookup(&site.cache, &crate::site::scope(), "key", &[]).await.unwrap();
        assert_eq!(found.is_some(), finished);
    }
}

#[tokio::test]
async fn a_restore_that_is_dropped_at_any_moment_leaves_nothing_or_all() {
    let site = Site::new();
    site.put("noise", &noise(1, 10_000_000));
    site.put("folder/more", b"text");
    site.save().await.unwrap();
    for patience in [0, 1, 10, 100, 1_000, 10_000] {
        let finished = tokio::select! {
            biased;
            restored = site.restore() => restored.is_ok(),
            () = async { for _ in 0..patience { tokio::task::yield_now().await } } => false,
        };
        // The threads end soon. One that moves what is whole goes on with it.
        let is_staged = |entry: std::io::Result<fs_err::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".runner-cache-"))
        };
        while fs_err::read_dir(site.path("to")).unwrap().any(is_staged) {
            tokio::task::yield_now().await;
        }
        if finished || !picture(&site.path("to")).is_empty() {
            site.assert_same();
        }
        fs_err::remove_dir_all(site.path("to")).unwrap();
        fs_err::create_dir(site.path("to")).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_survives(nodes in tree()) {
        let site = Site::new();
        make(&site.path("from"), &nodes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            site.save().await.unwrap();
            site.restore().await.unwrap();
        });
        site.assert_same();
    }
}
