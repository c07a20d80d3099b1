//! The bare repository that jobs fetch from. It borrows the objects of the user's repository.
//!
//! It is written by hand: that saves processes, and nothing of the user's templates or settings gets in.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{scratch::Scratch, scratch_error};
use crate::repository::{Repository, RepositoryError};

/// Names of refs and the hashes that they point at.
pub(super) type Refs = BTreeMap<String, String>;

#[derive(Debug)]
pub(super) struct Bare {
    scratch: Scratch,
}

impl Bare {
    pub(super) fn create(repository: &Repository, parent: &Path) -> Result<Self, RepositoryError> {
        let scratch = Scratch::create(parent)?;
        let bare = Self { scratch };
        bare.fill(repository)
            .map_err(|cause| scratch_error("write the repository that jobs fetch from", cause))?;
        Ok(bare)
    }

    fn fill(&self, repository: &Repository) -> io::Result<()> {
        let path = self.path();
        create(path, repository.object_format())?;
        let mut alternates = path_bytes(&repository.common_dir().join("objects"));
        alternates.push(b'\n');
        fs::write(path.join("objects/info/alternates"), alternates)?;
        if repository.is_shallow() {
            fs::copy(repository.common_dir().join("shallow"), path.join("shallow"))?;
        }
        link_large_files(repository, path)
    }

    pub(super) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Makes the repository one that git takes for one, with `refs`, and with HEAD at `head` or at `sha`.
    pub(super) fn publish(
        &mut self,
        refs: &Refs,
        head: Option<&str>,
        sha: &str,
    ) -> Result<(), RepositoryError> {
        let mut packed = "# pack-refs with: sorted \n".to_owned();
        for (name, target) in refs {
            packed.extend([target, " ", name, "\n"]);
        }
        let head = head.map_or_else(|| format!("{sha}\n"), |name| format!("ref: {name}\n"));
        fs::write(self.path().join("packed-refs"), packed)
            .and_then(|()| fs::write(self.path().join("HEAD"), head))
            .map_err(|cause| scratch_error("write the refs that jobs fetch", cause))
    }

    /// The address; odd letters are encoded, as git decodes them.
    pub(super) fn url(&self) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        let encoded = path_bytes(self.path()).into_iter().map(|byte| match byte {
            byte if is_plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        });
        format!("file://{}", encoded.collect::<String>())
    }
}

/// Makes an empty repository, without a HEAD.
pub(super) fn create(path: &Path, object_format: &str) -> io::Result<()> {
    fs::create_dir_all(path.join("objects/info"))?;
    fs::create_dir_all(path.join("objects/pack"))?;
    fs::create_dir_all(path.join("refs"))?;
    fs::write(path.join("config"), config(object_format))
}

/// Jobs fetch often and read once: what is sent is neither compressed anew nor searched for deltas.
fn config(object_format: &str) -> String {
    let format = match object_format {
        "sha1" | "" => "\trepositoryformatversion = 0\n".to_owned(),
        other => format!("\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = {other}\n[core]\n"),
    };
    format!(
        "[core]\n{format}\tbare = true\n[gc]\n\tauto = 0\n[pack]\n\twindow = 0\n\tcompression = 0\n\tthreads = 1\n\
         [uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n"
    )
}

/// Git LFS looks for its files beside the repository that it fetches from.
#[cfg(unix)]
fn link_large_files(repository: &Repository, path: &Path) -> io::Result<()> {
    let files: PathBuf = repository.common_dir().join("lfs");
    if files.is_dir() { std::os::unix::fs::symlink(files, path.join("lfs")) } else { Ok(()) }
}

#[cfg(not(unix))]
fn link_large_files(_: &Repository, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_owned()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// The branches and tags that a job sees as those of `origin`: those of the remote, and those that only are here.
pub(super) async fn refs(repository: &Repository) -> Result<Refs, RepositoryError> {
    if repository.within().is_some() {
        // Their history is that of more than the folder.
        return Ok(Refs::new());
    }
    let remote = format!("refs/remotes/{}/", repository.remote_name());
    let arguments =
        ["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/", "refs/tags/", remote.as_str()];
    let output = repository.git().run(&arguments).await?;
    if !output.succeeded {
        return Err(RepositoryError::of(&output, "for-each-ref"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let all = text.lines().filter_map(|line| line.split_once(' '));
    let mut refs: Refs = all.clone().map(|(sha, name)| (name.to_owned(), sha.to_owned())).collect();
    refs.retain(|name, _| !name.starts_with("refs/remotes/"));
    for (sha, name) in all {
        if let Some(branch) = name.strip_prefix(&remote).filter(|branch| *branch != "HEAD") {
            refs.insert(format!("refs/heads/{branch}"), sha.to_owned());
        }
    }
    Ok(refs)
}
