//! Whatever the network, the store and other writers do: a restore gives exactly what one save stored, or nothing and says so.

use std::{path::Path, sync::Arc, time::Duration};

use runner_cache::{
    S3Cache, S3Credentials, S3Settings, SaveOptions, Source, Transfer, TransferConfig, reader::OwnFiles,
    restore, save,
};
use runner_core::{CacheBackend, CacheFormat, CacheScope, Result, Secret};
use runner_testkit::{
    fault_proxy::{Fault, FaultProxy},
    s3_server::S3Server,
};
use tempfile::TempDir;

use crate::{
    site::noise,
    tree::{paths, picture},
};

/// So many by default; `RUNNER_CACHE_SEEDS=1000` for more, `RUNNER_CACHE_SEEDS=17..18` for one.
const SEEDS: u64 = 40;

fn seeds() -> std::ops::Range<u64> {
    let wanted = std::env::var_os("RUNNER_CACHE_SEEDS").unwrap_or_default();
    let wanted = wanted.to_string_lossy();
    match wanted.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..wanted.parse().unwrap_or(SEEDS),
    }
}

/// A tree, and how it looks.
struct Tree {
    place: TempDir,
}

impl Tree {
    fn new(random: &mut fastrand::Rng) -> Self {
        let place = tempfile::tempdir().unwrap();
        for number in 0..random.u32(1..12) {
            let folder = place.path().join(format!("folder {}", number % 3));
            fs_err::create_dir_all(&folder).unwrap();
            let size = if random.u8(..) < 40 { random.usize(..3_000_000) } else { random.usize(..30_000) };
            // Few seeds, so that trees share content.
            fs_err::write(folder.join(format!("file {number}")), noise(random.u64(..6), size)).unwrap();
        }
        Self { place }
    }

    fn source(&self) -> Source {
        let root = self.place.path().to_owned();
        Source { files: paths(&root), root, reader: Arc::new(OwnFiles) }
    }
}

/// A runner that reaches the store through a proxy of its own.
struct Reach {
    cache: S3Cache,
    transfer: Transfer,
    scope: CacheScope,
    _proxy: FaultProxy,
}

impl Reach {
    async fn new(server: &S3Server, seed: u64, faults: u64) -> Self {
        let plan = move |number: usize| {
            let mut random = fastrand::Rng::with_seed(faults.wrapping_mul(31).wrapping_add(number as u64));
            match random.u8(..20) {
                0 | 1 => Fault::Cut(random.u64(..200_000)),
                2 => Fault::Answer(503),
                3 => Fault::Answer(*random.choice(&[500, 502, 429]).unwrap_or(&500)),
                _ => Fault::None,
            }
        };
        let proxy = FaultProxy::start("127.0.0.1:0", &server.address().to_string(), plan).await.unwrap();
        let credentials = S3Credentials::Keys {
            access_key: Secret::new(S3Server::ACCESS_KEY),
            secret_key: Secret::new(S3Server::SECRET_KEY),
            session_token: Secret::default(),
        };
        let mut settings = S3Settings::new(proxy.address().to_string(), "cache", credentials);
        settings.is_insecure = true;
        Self {
            cache: S3Cache::new(settings, CacheFormat::Packs).unwrap(),
            transfer: Transfer::new(TransferConfig { attempts: 3, ..TransferConfig::default() }),
            scope: CacheScope { runner: String::new(), project: seed.to_string(), protected: false },
            _proxy: proxy,
        }
    }

    async fn save(&self, tree: &Tree) -> Result<()> {
        let grant = self.cache.begin(&self.scope, "key", &[]).await?;
        save(&grant, tree.source(), SaveOptions::default(), &self.transfer).await?;
        self.cache.publish(&grant).await
    }

    async fn restore(&self, place: &Path) -> Result<bool> {
        let Some(grant) = self.cache.lookup(&self.scope, "key", &[]).await? else { return Ok(false) };
        restore(&grant, place, &self.transfer).await.map(|_| true)
    }
}

/// Damages, or removes, an object of the store.
fn damage(server: &S3Server, seed: u64, random: &mut fastrand::Rng) {
    let root = server.folder().join("cache");
    let scope = CacheScope { runner: String::new(), project: seed.to_string(), protected: false };
    let scope = root.join(runner_cache::name::of_scope(&scope));
    let Ok(_) = fs_err::metadata(&scope) else { return };
    let mut objects: Vec<_> = paths(&scope).into_iter().map(|path| scope.join(path)).collect();
    objects.retain(|place| place.is_file());
    objects.sort_unstable();
    let Some(place) = random.choice(&objects) else { return };
    let mut bytes = fs_err::read(place).unwrap();
    match random.u8(..3) {
        0 => bytes.truncate(random.usize(..=bytes.len().saturating_sub(1))),
        1 if !bytes.is_empty() => {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        }
        _ => return fs_err::remove_file(place).unwrap(),
    }
    fs_err::write(place, bytes).unwrap();
}

async fn one(server: &S3Server, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let trees = [Tree::new(&mut random), Tree::new(&mut random)];
    let reach =
        [Reach::new(server, seed, random.u64(..)).await, Reach::new(server, seed, random.u64(..)).await];
    // Two writers of one key, of which one may be killed.
    let patience =
        if random.bool() { Duration::from_millis(random.u64(..40)) } else { Duration::from_mins(1) };
    let killed = async { tokio::time::timeout(patience, reach[1].save(&trees[1])).await };
    let (first, second) = tokio::join!(reach[0].save(&trees[0]), killed);
    let is_any = first.is_ok() || matches!(second, Ok(Ok(())));
    let is_damaged = random.u8(..3) == 0;
    if is_damaged {
        damage(server, seed, &mut random);
    }
    let to = tempfile::tempdir().unwrap();
    fs_err::write(to.path().join("mine"), "mine").unwrap();
    let restored = reach[0].restore(to.path()).await;
    let mut found = picture(to.path());
    assert!(found.remove(Path::new("mine")).is_some(), "seed {seed}: a file of somebody else is gone");
    match restored {
        Ok(true) => {
            let is_one = trees.iter().any(|tree| picture(tree.place.path()) == found);
            assert!(is_one, "seed {seed}: what was restored is what nobody saved");
        }
        Ok(false) => {
            assert!(found.is_empty(), "seed {seed}");
            assert!(!is_any || is_damaged, "seed {seed}: what was saved is not found");
        }
        Err(error) => {
            assert!(
                found.is_empty(),
                "seed {seed}: something was touched, although it failed to {}",
                error.chain()
            );
            assert!(!error.chain().contains("X-Amz-Signature"), "seed {seed}: a right is told");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simulated_faults_of_network_store_and_writers() {
    let server = Arc::new(S3Server::start().await.unwrap());
    fs_err::create_dir(server.folder().join("cache")).unwrap();
    for seed in seeds() {
        one(&server, seed).await;
    }
}

#[tokio::test]
async fn an_address_that_has_expired_says_so() {
    let server = S3Server::start().await.unwrap();
    fs_err::create_dir(server.folder().join("cache")).unwrap();
    let reach = Reach::new(&server, 1, 0).await;
    let mut grant = reach.cache.begin(&reach.scope, "key", &[]).await.unwrap();
    for object in &mut grant.objects {
        let runner_core::Location::Signed(signed) = &mut object.location else { panic!("it is signed") };
        // As it is after the time that it was signed for: the store refuses it.
        let (before, signature) = signed.url.expose().split_once("X-Amz-Signature=").unwrap();
        let (first, rest) = signature.split_at(1);
        let other = if first == "0" { "1" } else { "0" };
        signed.url = Secret::new(format!("{before}X-Amz-Signature={other}{rest}"));
        signed.expires = 1;
    }
    let tree = Tree::new(&mut fastrand::Rng::with_seed(1));
    let error = save(&grant, tree.source(), SaveOptions::default(), &reach.transfer).await.unwrap_err();
    assert_eq!(error.kind(), runner_core::ErrorKind::Unauthorized, "{error:?}");
    assert!(error.chain().contains("has expired"), "{error:?}");
}
