use std::path::Path;

use super::*;

fn scope(runner: &str, project: &str, protected: bool) -> CacheScope {
    CacheScope { runner: runner.into(), project: project.into(), protected }
}

fn path_of(object: &Object) -> &Path {
    match &object.location {
        Location::Path(path) => Path::new(path),
        _ => unreachable!("a directory grants paths"),
    }
}

/// Writes an entry whose only pack has this content.
fn write(grant: &WriteGrant, content: &str) {
    let pack = grant.objects.first().unwrap();
    fs_err::write(path_of(pack), content).unwrap();
    let size = content.len() as u64;
    let name = PackName::parse(&pack.name).unwrap();
    let index = head::Place { pack: 0, offset: 0, length: size, digest: blake3::hash(content.as_bytes()) };
    let packs = vec![head::Pack { name, size, day: 1 }];
    let head = Head { made: 1, files: 0, bytes: 0, index, packs };
    fs_err::write(path_of(grant.objects.last().unwrap()), head.to_text()).unwrap();
}

/// Writes and publishes an entry.
async fn put(cache: &DirectoryCache, scope: &CacheScope, key: &str, content: &str) {
    let grant = cache.begin(scope, key, &[]).await.unwrap();
    write(&grant, content);
    cache.publish(&grant).await.unwrap();
}

async fn get(cache: &DirectoryCache, scope: &CacheScope, key: &str) -> Option<String> {
    let grant = cache.lookup(scope, key, &[]).await.unwrap()?;
    Some(fs_err::read_to_string(path_of(grant.objects.first().unwrap())).unwrap())
}

fn files_below(root: &Path) -> usize {
    let count = |entry: io::Result<fs_err::DirEntry>| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() { files_below(&entry.path()) } else { 1 }
    };
    fs_err::read_dir(root).unwrap().map(count).sum()
}

#[tokio::test]
async fn what_is_published_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path().join("made/when/needed"));
    let scope = scope("r", "1", false);
    assert_eq!(get(&cache, &scope, "key").await, None);
    let grant = cache.begin(&scope, "key", &[]).await.unwrap();
    write(&grant, "new");
    assert_eq!(get(&cache, &scope, "key").await, None);
    cache.publish(&grant).await.unwrap();
    cache.publish(&grant).await.unwrap();
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("new"));
    put(&cache, &scope, "key", "newer").await;
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("newer"));
    assert_eq!(files_below(folder.path()), 3, "a head, its pack, and for a while the one of the head before");
}

#[tokio::test]
async fn an_aborted_write_leaves_the_entry_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scope = scope("r", "1", false);
    put(&cache, &scope, "key", "old").await;
    let grant = cache.begin(&scope, "key", &[]).await.unwrap();
    write(&grant, "half");
    cache.abort(&grant).await.unwrap();
    cache.abort(&grant).await.unwrap();
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("old"));
    assert_eq!(files_below(folder.path()), 2);
}

#[tokio::test]
async fn what_was_aborted_cannot_be_published() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let grant = cache.begin(&scope("r", "1", false), "key", &[]).await.unwrap();
    cache.abort(&grant).await.unwrap();
    assert_eq!(cache.publish(&grant).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn fallbacks_are_tried_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scope = scope("r", "1", false);
    put(&cache, &scope, "second", "2").await;
    put(&cache, &scope, "third", "3").await;
    let fallbacks = ["first", "second", "third"].map(str::to_owned);
    let grant = cache.lookup(&scope, "key", &fallbacks).await.unwrap().unwrap();
    assert_eq!(grant.key, "second");
}

#[tokio::test]
async fn scopes_share_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scopes = [
        ("a", "b", false),
        ("a", "b", true),
        ("ab", "", false),
        ("", "ab", false),
        ("a-b", "", false),
        ("..", "..", true),
    ];
    for (runner, project, protected) in scopes {
        assert_eq!(get(&cache, &scope(runner, project, protected), "key").await, None);
        put(&cache, &scope(runner, project, protected), "key", "x").await;
    }
    assert_eq!(files_below(folder.path()), 2 * scopes.len());
}

#[tokio::test]
async fn any_key_is_a_name_within_the_scope() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path().join("cache"));
    let scope = scope("r", "1", false);
    let long = "k".repeat(100_000);
    let keys =
        ["", ".", "..", "../../up", "/etc/passwd", "a/b", "a\0b", "a\nb", "Ünï", "*", "-rf", "~", &long];
    for key in keys {
        put(&cache, &scope, key, &format!("of {key}")).await;
    }
    for key in keys {
        assert_eq!(get(&cache, &scope, key).await, Some(format!("of {key}")));
    }
    assert_eq!(files_below(folder.path()), 2 * keys.len());
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_right_to_write_that_was_tampered_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let mut grant = cache.begin(&scope("r", "1", false), "key", &[]).await.unwrap();
    for id in ["../../x", "", "a/b", "."] {
        grant.id = id.into();
        assert_eq!(cache.publish(&grant).await.unwrap_err().kind(), ErrorKind::Invalid, "{id}");
        assert_eq!(cache.abort(&grant).await.unwrap_err().kind(), ErrorKind::Invalid, "{id}");
    }
}

fn make_older(place: &Path, age: Duration) {
    let file = fs_err::File::options().write(true).open(place).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn make_write_older(grant: &WriteGrant, age: Duration) {
    for object in [grant.objects.first(), grant.objects.last()] {
        make_older(path_of(object.unwrap()), age);
    }
}

#[tokio::test]
async fn a_sweep_removes_what_was_not_used_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let (scope, other) = (scope("r", "1", false), scope("r", "2", false));
    let month = Duration::from_hours(30 * 24);
    assert_eq!(DirectoryCache::new(folder.path().join("none")).sweep(month).await.unwrap(), 0);
    for (scope, key) in [(&scope, "used"), (&scope, "unused"), (&other, "unused")] {
        put(&cache, scope, key, "12345").await;
        let grant = cache.lookup(scope, key, &[]).await.unwrap().unwrap();
        make_older(path_of(&grant.objects[0]), month * 2);
        make_older(&cache.entry(scope, key), month * 2);
    }
    assert!(get(&cache, &scope, "used").await.is_some(), "a look-up is a use");
    let lost = cache.begin(&scope, "lost", &[]).await.unwrap();
    write(&lost, "half");
    make_write_older(&lost, Duration::from_hours(25));
    let running = cache.begin(&scope, "running", &[]).await.unwrap();
    write(&running, "half");
    assert!(cache.sweep(month).await.unwrap() > 14);
    assert_eq!(get(&cache, &scope, "used").await.as_deref(), Some("12345"));
    cache.publish(&running).await.unwrap();
    assert_eq!(files_below(folder.path()), 4);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "an empty scope is removed");
    assert!(cache.sweep(Duration::ZERO).await.unwrap() > 9);
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn packs_that_no_entry_names_go_when_they_are_a_day_old() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scope = scope("r", "1", false);
    put(&cache, &scope, "key", "old").await;
    let old = cache.lookup(&scope, "key", &[]).await.unwrap().unwrap();
    put(&cache, &scope, "key", "new").await;
    let day = Duration::from_hours(24);
    assert_eq!(cache.sweep(day * 30).await.unwrap(), 0, "a save may be about to name it");
    make_older(path_of(&old.objects[0]), day * 2);
    assert_eq!(cache.sweep(day * 30).await.unwrap(), 3);
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_head_that_is_none_is_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scope = scope("r", "1", false);
    put(&cache, &scope, "key", "x").await;
    let entry = cache.entry(&scope, "key");
    let good = fs_err::read_to_string(&entry).unwrap();
    let elsewhere = good.replace("-0000", "-../../../../../../etc/passwd");
    for bad in ["", "{}", &"x".repeat(1 << 20), &elsewhere] {
        fs_err::write(&entry, bad).unwrap();
        assert_eq!(get(&cache, &scope, "key").await, None);
    }
    fs_err::File::create(&entry).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(get(&cache, &scope, "key").await, None);
    put(&cache, &scope, "key", "again").await;
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_check_says_what_is_missing_and_makes_it_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("not/there");
    let cache = DirectoryCache::new(&root);
    let findings = cache.check(false).await;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains(root.to_str().unwrap()) && findings[0].mend.contains("mkdir"));
    assert!(!root.exists());
    assert!(cache.check(true).await.is_empty());
    assert!(cache.check(false).await.is_empty());
    assert_eq!(files_below(&root), 0);
}

#[tokio::test]
async fn a_file_in_the_place_of_the_directory_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("file");
    fs_err::write(&root, "").unwrap();
    let cache = DirectoryCache::new(&root);
    for create in [true, false] {
        assert_eq!(cache.check(create).await.len(), 1);
    }
    let scope = scope("r", "1", false);
    let error = cache.begin(&scope, "key", &[]).await.unwrap_err();
    assert!(error.chain().contains(root.to_str().unwrap()), "{error:?}");
    cache.lookup(&scope, "key", &[]).await.unwrap_err();
}

#[tokio::test]
async fn writers_at_once_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let cache = DirectoryCache::new(folder.path());
    let scope = scope("r", "1", false);
    let first = cache.begin(&scope, "key", &[]).await.unwrap();
    let second = cache.begin(&scope, "key", &[]).await.unwrap();
    write(&first, "first");
    write(&second, "second");
    cache.publish(&second).await.unwrap();
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("second"));
    cache.publish(&first).await.unwrap();
    assert_eq!(get(&cache, &scope, "key").await.as_deref(), Some("first"));
}
