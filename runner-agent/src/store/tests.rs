use std::{pin::Pin, sync::Arc};

use runner_cache::reader::OwnFiles;
use runner_core::job::DependencyFile;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::*;
use crate::archive::{Level, Packed, pack};

/// What a job has made, and where its artifacts go.
struct Place {
    all: TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let all = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let place = all.path().join("project").join(name);
            fs_err::create_dir_all(place.parent().unwrap()).unwrap();
            fs_err::write(place, content).unwrap();
        }
        Self { all }
    }

    fn root(&self) -> PathBuf {
        self.all.path().join("artifacts")
    }

    fn store(&self, job: &str) -> DirectoryArtifacts {
        DirectoryArtifacts::new(self.root(), job)
    }

    async fn upload(&self, store: &DirectoryArtifacts, kind: &str, format: ArtifactFormat, files: &[&str]) {
        let files = files.iter().map(PathBuf::from).collect();
        let packed = Packed {
            folder: self.all.path().join("project"),
            files,
            format,
            level: Level::default(),
            reader: Arc::new(OwnFiles),
        };
        store.upload(&upload(kind, format), pack(packed).0).await.unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.root().join(name)).unwrap()
    }

    /// All that is below the root, but for folders.
    fn all_files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut open = vec![self.root()];
        while let Some(folder) = open.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let place = entry.unwrap().path();
                if place.is_dir() {
                    open.push(place);
                } else {
                    files.push(place.strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }
}

fn upload(kind: &str, format: ArtifactFormat) -> ArtifactUpload {
    let filename = if format == ArtifactFormat::Raw { "report.html" } else { "any.name" }.to_owned();
    ArtifactUpload { filename, kind: kind.to_owned(), format, expire_in: None }
}

fn dependency(job: &str) -> Dependency {
    Dependency { name: job.into(), file: Some(DependencyFile::default()), ..Dependency::default() }
}

#[tokio::test]
async fn an_archive_is_there_for_people_and_for_later_jobs() {
    let place = Place::new(&[("dist/app", "program"), ("log", "text")]);
    place.upload(&place.store("build: [1, 2]"), "archive", ArtifactFormat::Zip, &["dist", "dist/app"]).await;
    let folder = name::folder("build: [1, 2]");
    assert_eq!(place.read(&format!("{folder}/dist/app")), "program");
    let mut zip = Vec::new();
    let mut stream = place.store("other").download(&dependency("build: [1, 2]")).await.unwrap();
    stream.read_to_end(&mut zip).await.unwrap();
    assert!(zip.starts_with(b"PK"));
    assert_eq!(place.all_files(), [format!(".archives/{folder}.zip"), format!("{folder}/dist/app")]);
}

#[tokio::test]
async fn reports_are_unpacked_beside_the_archive() {
    let place =
        Place::new(&[("a/junit.xml", "<a/>"), ("b/junit.xml", "<b/>"), ("vars", "A=1"), ("page", "html")]);
    let store = place.store("test");
    place.upload(&store, "junit", ArtifactFormat::Gzip, &["a/junit.xml", "b/junit.xml"]).await;
    place.upload(&store, "archive", ArtifactFormat::Zip, &["page"]).await;
    place.upload(&store, "dotenv", ArtifactFormat::Gzip, &["vars"]).await;
    place.upload(&store, "browser", ArtifactFormat::Raw, &["page"]).await;
    assert_eq!(
        place.all_files(),
        [
            ".archives/test.zip",
            "test/page",
            "test/reports/browser/report.html",
            "test/reports/dotenv/vars",
            "test/reports/junit/a/junit.xml",
            "test/reports/junit/b/junit.xml",
        ]
    );
    assert_eq!(place.read("test/reports/junit/b/junit.xml"), "<b/>");
}

#[tokio::test]
async fn a_new_run_replaces_what_the_last_one_left() {
    let place = Place::new(&[("old", "1"), ("new", "2")]);
    place.upload(&place.store("job"), "archive", ArtifactFormat::Zip, &["old"]).await;
    place.upload(&place.store("job"), "junit", ArtifactFormat::Gzip, &["new"]).await;
    assert_eq!(place.all_files(), ["job/reports/junit/new"]);
    let error = place.store("x").download(&dependency("job")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    place.store("job").clear().await.unwrap();
    assert!(place.all_files().is_empty());
    place.store("job").clear().await.unwrap();
}

/// A body that breaks after its first bytes.
struct Broken(bool);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let was_read = std::mem::replace(&mut self.0, true);
        if was_read {
            return std::task::Poll::Ready(Err(io::Error::other("cannot read the file x")));
        }
        buffer.put_slice(b"PK");
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn half_an_upload_is_never_handed_out() {
    let place = Place::new(&[]);
    let store = place.store("job");
    let artifact = upload("archive", ArtifactFormat::Zip);
    let error = store.upload(&artifact, Box::new(Broken(false))).await.unwrap_err();
    assert!(error.chain().contains("cannot read the file x"), "{error:?}");
    let garbage: ByteStream = Box::new(&b"garbage"[..]);
    assert_eq!(store.upload(&artifact, garbage).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let (never_ending, _writer) = tokio::io::duplex(10);
    let dropped = store.upload(&artifact, Box::new(never_ending));
    tokio::select! {
        biased;
        _ = dropped => panic!("it cannot end"),
        () = async { while place.all_files().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert!(place.all_files().is_empty());
    assert_eq!(store.download(&dependency("job")).await.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn odd_job_names_and_kinds_stay_below_the_root() {
    let place = Place::new(&[("f", "x")]);
    for job in ["../../up", "/etc", ".archives", "", "a/b", "ü"] {
        place.upload(&place.store(job), "archive", ArtifactFormat::Zip, &["f"]).await;
        place.upload(&place.store(job), "../../x", ArtifactFormat::Gzip, &["f"]).await;
        place.upload(&place.store(job), "archive", ArtifactFormat::Zip, &["f"]).await;
        assert!(place.store("x").download(&dependency(job)).await.is_ok(), "{job}");
    }
    assert_eq!(fs_err::read_dir(place.all.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_read_only_folder_in_an_archive_can_be_replaced() {
    let place = Place::new(&[("ro/file", "x")]);
    let folder = place.all.path().join("project/ro");
    fs_err::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    place.upload(&place.store("job"), "archive", ArtifactFormat::Zip, &["ro", "ro/file"]).await;
    let mode = fs_err::metadata(place.root().join("job/ro")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o755);
}

#[tokio::test]
async fn what_a_killed_process_spooled_is_removed_and_nothing_else() {
    let place = Place::new(&[]);
    let archives = place.root().join(ARCHIVES);
    fs_err::create_dir_all(&archives).unwrap();
    let others = [".job.1.7-0.partial", ".jobs.7-0.partial", "jobs.zip"];
    for name in others.iter().chain(&[".job.0-12.partial"]) {
        fs_err::write(archives.join(name), "x").unwrap();
    }
    place.store("job").clear().await.unwrap();
    assert_eq!(place.all_files(), others.map(|name| format!("{ARCHIVES}/{name}")));
}
