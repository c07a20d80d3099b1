use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runner_cache::reader::OwnFiles;
use runner_core::{
    artifact::ByteStream,
    job::{DependencyFile, When},
};
use runner_testkit::MemoryArtifacts;
use tokio::io::AsyncReadExt;

use super::*;
use crate::{engine::workplace::tests::Site, store::DirectoryArtifacts};

fn spec(paths: &[&str]) -> ArtifactSpec {
    ArtifactSpec { paths: paths.iter().map(|path| (*path).to_owned()).collect(), ..ArtifactSpec::default() }
}

fn report(kind: &str, paths: &[&str]) -> ArtifactSpec {
    ArtifactSpec { kind: kind.into(), format: ArtifactFormat::Gzip, when: When::Always, ..spec(paths) }
}

fn dependency(job: &str) -> Dependency {
    Dependency { name: job.into(), file: Some(DependencyFile::default()), ..Dependency::default() }
}

async fn upload_to(
    store: &dyn ArtifactStore,
    site: &Site,
    specs: &[ArtifactSpec],
    succeeded: bool,
) -> Result<()> {
    let project = site.project();
    upload(specs, succeeded, store, &site.place(&project)).await
}

async fn download_from(store: &dyn ArtifactStore, site: &Site, jobs: &[&str], attempts: u32) -> Result<()> {
    let dependencies: Vec<_> = jobs.iter().map(|job| dependency(job)).collect();
    let project = site.project();
    download(&dependencies, store, &project, site.place(&project).log, attempts).await
}

fn assert_no_rest(site: &Site) {
    let names: Vec<_> = fs_err::read_dir(site.all.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "project" || name == "artifacts"), "{names:?}");
}

#[tokio::test]
async fn what_one_job_keeps_another_gets() {
    let site = Site::new(&["app", "lib/a.so", "lib/b.log"]);
    let root = site.all.path().join("artifacts");
    let store = DirectoryArtifacts::new(&root, "build");
    let specs = [ArtifactSpec { exclude: vec!["**/*.log".into()], ..spec(&["app", "lib"]) }];
    upload_to(&store, &site, &specs, true).await.unwrap();
    site.reset();
    site.put("app", "what was there before");
    download_from(&DirectoryArtifacts::new(&root, "test"), &site, &["build"], 1).await.unwrap();
    assert_eq!(site.read("app").as_deref(), Some("app"));
    assert_eq!(site.read("lib/a.so").as_deref(), Some("lib/a.so"));
    assert_eq!(site.read("lib/b.log"), None);
    assert_no_rest(&site);
    let said = site.said().await;
    for line in [
        "Uploading artifacts…",
        "app: found 1 matching files and directories",
        "**/*.log: excluded 1 files",
        "Uploaded artifacts.zip",
        "Downloading artifacts of build…",
        "build: 3 files, 11 bytes",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
}

#[tokio::test]
async fn names_when_and_kinds_are_those_of_the_job() {
    let site = Site::new(&["f", "j.xml"]).with("REF", "main").with("SLASH", "feature/x");
    let called = |name: &str| ArtifactSpec { name: Some(name.into()), ..spec(&["f"]) };
    let on_failure = ArtifactSpec { when: When::OnFailure, ..called("failed") };
    let raw =
        ArtifactSpec { name: Some("page".into()), format: ArtifactFormat::Raw, ..report("browser", &["f"]) };
    let specs = [
        spec(&["f"]),
        called("$REF-app"),
        called("a/$SLASH/"),
        called(""),
        called(".."),
        on_failure,
        report("junit", &["*.xml"]),
        ArtifactSpec { name: Some("junit.xml".into()), ..report("junit", &["*.xml"]) },
        raw,
        spec(&[]),
    ];
    let store = MemoryArtifacts::new();
    upload_to(&*store, &site, &specs, true).await.unwrap();
    let names: Vec<_> = store.uploads().into_iter().map(|(artifact, _)| artifact.filename).collect();
    assert_eq!(
        names,
        [
            "artifacts.zip",
            "main-app.zip",
            "x.zip",
            "artifacts.zip",
            "artifacts.zip",
            "junit.gz",
            "junit.xml.gz",
            "page",
        ]
    );
    let failed = MemoryArtifacts::new();
    upload_to(&*failed, &site, &specs, false).await.unwrap();
    assert_eq!(failed.uploads().first().unwrap().0.filename, "failed.zip");
    assert!(any_to_upload(&specs, true) && !any_to_upload(&[spec(&[])], true));
}

#[tokio::test]
async fn what_is_missing_is_a_warning_and_no_failure() {
    let site = Site::new(&["folder/f"]);
    let store = MemoryArtifacts::new();
    let specs =
        [spec(&["none", "../outside"]), report("junit", &["*.xml", "folder"]), report("sast", &["none"])];
    upload_to(&*store, &site, &specs, true).await.unwrap();
    let kinds: Vec<_> = store.uploads().into_iter().map(|(artifact, _)| artifact.kind).collect();
    assert_eq!(kinds, ["junit"], "a folder counts with what is in it");
    let said = site.said().await;
    assert!(said.contains("WARNING: none: no matching files"), "{said}");
    assert!(said.contains("WARNING: ../outside: it is outside of the project directory"), "{said}");
    assert!(said.contains("WARNING: no files to upload, so there are no artifacts"), "{said}");
    assert!(said.contains("WARNING: no files to upload, so there is no sast report"), "{said}");
}

/// A store that fails as told before it works, and notes how often it was called.
#[derive(Debug)]
struct Failing {
    inner: Arc<MemoryArtifacts>,
    errors: Mutex<VecDeque<Error>>,
    calls: Mutex<u32>,
}

impl Failing {
    fn new(errors: impl IntoIterator<Item = Error>) -> Self {
        let errors = Mutex::new(errors.into_iter().collect());
        Self { inner: MemoryArtifacts::new(), errors, calls: Mutex::new(0) }
    }

    fn fail(&self) -> Result<()> {
        *self.calls.lock().unwrap() += 1;
        self.errors.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }

    fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }
}

#[async_trait]
impl ArtifactStore for Failing {
    async fn upload(&self, artifact: &ArtifactUpload, mut body: ByteStream) -> Result<()> {
        body.read_to_end(&mut Vec::new())
            .await
            .map_err(|cause| Error::new(ErrorKind::Unavailable, "send").because(cause))?;
        self.fail()?;
        self.inner.upload(artifact, Box::new(io::Cursor::new(Vec::new()))).await
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        self.fail()?;
        self.inner.download(dependency).await
    }
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "reach the server")
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_tried_three_times_if_that_can_help() {
    for (errors, works, calls) in [
        (vec![unavailable(), unavailable()], true, 3),
        (vec![unavailable(), unavailable(), unavailable()], false, 3),
        (vec![Error::new(ErrorKind::Exhausted, "store: too large")], false, 1),
    ] {
        let site = Site::new(&["f"]);
        let store = Failing::new(errors);
        assert_eq!(upload_to(&store, &site, &[spec(&["f"])], true).await.is_ok(), works);
        assert_eq!(store.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_keep_the_others() {
    let site = Site::new(&["f", "j"]);
    let store = Failing::new([Error::new(ErrorKind::Unauthorized, "send")]);
    let error = upload_to(&store, &site, &[spec(&["f"]), report("junit", &["j"])], true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.chain().contains("artifacts.zip"), "{error:?}");
    assert_eq!(store.inner.uploads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_files_cannot_be_sent_as_they_are() {
    let site = Site::new(&["a", "b"]);
    let store = Failing::new([]);
    let raw = ArtifactSpec { format: ArtifactFormat::Raw, ..spec(&["*"]) };
    let error = upload_to(&store, &site, &[raw], true).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Invalid,
        "the reason is the file's, whatever the store says: {error:?}"
    );
    assert!(error.chain().contains("only one can be sent as it is"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_download_is_tried_as_often_as_asked() {
    let site = Site::new(&[]);
    let store = Failing::new([unavailable(), unavailable()]);
    store.inner.put("build", zip_of(&[("f", "content")]).await);
    download_from(&store, &site, &["build"], 3).await.unwrap();
    assert_eq!(site.read("f").as_deref(), Some("content"));
    let store = Failing::new([unavailable(), unavailable()]);
    assert!(download_from(&store, &site, &["build"], 2).await.is_err());
    assert_eq!(store.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_cannot_work_is_an_error_that_names_the_job() {
    let site = Site::new(&["f"]);
    let store = MemoryArtifacts::new();
    store.put("damaged", b"garbage".to_vec());
    for (job, kind) in [("gone", ErrorKind::NotFound), ("damaged", ErrorKind::Corrupt)] {
        let error = download_from(&*store, &site, &[job], 2).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.chain().contains(job), "{error:?}");
    }
    assert_no_rest(&site);
    assert_eq!(site.read("f").as_deref(), Some("f"));
}

#[tokio::test]
async fn a_dependency_without_artifacts_is_passed_over() {
    let site = Site::new(&[]);
    let without = Dependency { name: "lint".into(), ..Dependency::default() };
    assert!(!any_to_download(std::slice::from_ref(&without)));
    let project = site.project();
    download(&[without], &*MemoryArtifacts::new(), &project, site.place(&project).log, 1).await.unwrap();
    assert_eq!(site.said().await, "");
}

#[tokio::test]
async fn a_level_that_is_none_is_said() {
    let site = Site::new(&["f"]).with("ARTIFACT_COMPRESSION_LEVEL", "enormous");
    upload_to(&*MemoryArtifacts::new(), &site, &[spec(&["f"])], true).await.unwrap();
    let said = site.said().await;
    assert!(said.contains("ARTIFACT_COMPRESSION_LEVEL is \"enormous\", which is no level"), "{said}");
}

/// A zip archive of these files.
async fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs_err::write(folder.path().join(name), content).unwrap();
    }
    let packed = Packed {
        folder: folder.path().to_owned(),
        files: files.iter().map(|(name, _)| name.into()).collect(),
        format: ArtifactFormat::Zip,
        level: crate::archive::Level::default(),
        reader: Arc::new(OwnFiles),
    };
    let mut zip = Vec::new();
    pack(packed).0.read_to_end(&mut zip).await.unwrap();
    zip
}
