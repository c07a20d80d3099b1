//! Only what changed is read and sent.

use std::{
    fs::FileTimes,
    os::unix::fs::{MetadataExt, lchown},
    time::SystemTime,
};

use runner_cache::reader::OwnFiles;
use runner_core::CacheBackend;

use crate::{
    site::{Site, noise, scope},
    tree::picture,
};

/// Files of 20 kB.
fn many(site: &Site, count: u64) {
    for number in 0..count {
        site.put(format!("folder {}/{number}", number % 7), &noise(number, 20_000));
    }
}

/// Waits until a change of a file has another time than one before: what changed just now may change again unseen.
fn wait_for_a_tick() {
    let begin = SystemTime::now();
    while begin.elapsed().unwrap_or_default() < std::time::Duration::from_millis(30) {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn nothing_changed_sends_nothing() {
    let site = Site::new();
    many(&site, 100);
    site.save().await.unwrap();
    let kept = site.restore().await.unwrap().kept;
    let before = site.objects();
    let saved = site.save_again("key", &[], &kept).await.unwrap();
    assert_eq!((saved.sent, saved.files), (0, 107));
    assert!(saved.stored > 2_000_000 && saved.bytes == 2_000_000, "{saved:?}");
    assert_eq!(site.objects(), before);
}

#[tokio::test]
async fn under_another_key_only_a_head_is_sent() {
    let site = Site::new();
    many(&site, 100);
    site.save().await.unwrap();
    let kept = site.restore().await.unwrap().kept;
    // All files that were made in the last moment of the restore are read again, but sent are none.
    let saved = site.save_again("new", &["key"], &kept).await.unwrap();
    assert!(saved.sent < 20_000, "{saved:?}");
    let grant = site.cache.lookup(&scope(), "new", &[]).await.unwrap().unwrap();
    runner_cache::restore(&grant, &site.path("to"), &site.transfer).await.unwrap();
    site.assert_same();
}

#[tokio::test]
async fn what_changed_is_sent_and_the_rest_is_not() {
    let site = Site::new();
    many(&site, 300);
    let first = site.save().await.unwrap();
    let kept = site.restore().await.unwrap().kept;
    wait_for_a_tick();
    let to = site.path("to");
    fs_err::write(to.join("folder 1/8"), noise(9_999, 20_000)).unwrap();
    fs_err::remove_file(to.join("folder 2/9")).unwrap();
    fs_err::rename(to.join("folder 3/3"), to.join("folder 4/renamed")).unwrap();
    let saved = site.save_again("key", &[], &kept).await.unwrap();
    assert!(saved.sent > 20_000 && saved.sent < 60_000 && first.sent > 6_000_000, "{saved:?}");
    fs_err::remove_dir_all(site.path("from")).unwrap();
    fs_err::rename(&to, site.path("from")).unwrap();
    fs_err::create_dir(&to).unwrap();
    site.restore().await.unwrap();
    site.assert_same();
}

#[tokio::test]
async fn a_part_of_a_large_file_that_changed_is_a_part_that_is_sent() {
    let site = Site::new();
    let mut content = noise(1, 10_000_000);
    site.put("large", &content);
    site.save().await.unwrap();
    content.splice(5_000_000..5_000_000, *b"inserted");
    site.put("large", &content);
    let saved = site.save().await.unwrap();
    assert!(saved.sent < 600_000, "{saved:?}");
    site.restore().await.unwrap();
    site.assert_same();
}

#[tokio::test]
async fn a_change_that_hides_its_time_is_seen() {
    let site = Site::new();
    many(&site, 10);
    site.save().await.unwrap();
    let kept = site.restore().await.unwrap().kept;
    wait_for_a_tick();
    let place = site.path("to/folder 1/1");
    let modified = fs_err::metadata(&place).unwrap().modified().unwrap();
    fs_err::write(&place, noise(77, 20_000)).unwrap();
    fs_err::File::open(&place).unwrap().file().set_times(FileTimes::new().set_modified(modified)).unwrap();
    let saved = site.save_again("key", &[], &kept).await.unwrap();
    assert!(saved.sent > 20_000, "{saved:?}");
}

#[tokio::test]
async fn what_got_another_owner_is_looked_at_again() {
    let site = Site::new();
    many(&site, 100);
    site.save().await.unwrap();
    let mut kept = site.restore().await.unwrap().kept;
    wait_for_a_tick();
    let again = || picture(&site.path("to")).into_keys().map(|path| site.path("to").join(path));
    for place in again() {
        // Even to the same one, which changes the time that nobody can set.
        let owner = fs_err::symlink_metadata(&place).unwrap().uid();
        lchown(place, Some(owner), None).unwrap();
    }
    site.reader.take();
    site.save_again("key", &[], &kept).await.unwrap();
    assert_eq!(site.reader.take(), 100);
    wait_for_a_tick();
    kept.look_again(&site.path("to"), &OwnFiles);
    let saved = site.save_again("key", &[], &kept).await.unwrap();
    assert_eq!((site.reader.take(), saved.sent), (0, 0));
}

#[tokio::test]
async fn a_base_that_is_gone_costs_its_bytes_and_nothing_else() {
    let site = Site::new();
    many(&site, 50);
    site.save().await.unwrap();
    for place in site.objects().into_iter().filter(|place| place.parent().unwrap().ends_with("packs")) {
        fs_err::remove_file(place).unwrap();
    }
    site.restore().await.unwrap_err();
    let saved = site.save().await.unwrap();
    assert!(saved.sent > 1_000_000, "{saved:?}");
    site.restore().await.unwrap();
    site.assert_same();
}
