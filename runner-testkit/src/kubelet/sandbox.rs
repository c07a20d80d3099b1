//! Containers as processes of this machine: each in namespaces of its own for processes and mounts, with a root of its own.
//!
//! That is what makes the agent in it the one that runs in a pod, paths and all, without an image and without a runtime.

use std::{
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::volume::Mount;

/// The static busybox that is the image of every container.
const BUSYBOX: &str = "/bin/busybox";

/// Mounts what its arguments say, up to `--`, and becomes the rest of them.
const ENTER: &str = r#"
set -e
root=$1; shift
while [ "$1" != -- ]; do
    mount --bind "$1" "$root/$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root/$2"
    shift 3
done
shift
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"#;

/// What containers are made of.
#[derive(Debug)]
pub(super) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Prepares the image that all containers have, with `agent` in it.
    pub(super) async fn new(agent: &Path) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let image = folder.path().join("image");
        std::fs::create_dir_all(image.join("bin"))?;
        std::fs::create_dir_all(image.join("dev"))?;
        for (from, name) in [(Path::new(BUSYBOX), "bin/busybox"), (agent, "agent")] {
            let copied = std::fs::copy(from, image.join(name));
            copied.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", from.display())))?;
            std::fs::set_permissions(image.join(name), PermissionsExt::from_mode(0o755))?;
        }
        let listed = done(Command::new(BUSYBOX).arg("--list")).await?;
        for name in String::from_utf8_lossy(&listed.stdout).lines().filter(|name| *name != "busybox") {
            symlink("busybox", image.join("bin").join(name))?;
        }
        for (name, minor) in [("null", "3"), ("zero", "5"), ("full", "7"), ("random", "8"), ("urandom", "9")]
        {
            let node = image.join("dev").join(name);
            done(Command::new("mknod").args(["-m", "666"]).arg(node).args(["c", "1", minor])).await?;
        }
        Ok(Self { folder })
    }

    /// A folder for a pod.
    pub(super) fn pod(&self, uid: &str) -> PathBuf {
        self.folder.path().join("pods").join(uid)
    }

    /// Makes the root of a container in `folder`.
    pub(super) async fn root(&self, folder: &Path, mounts: &[Mount]) -> io::Result<()> {
        let places = ["bin", "usr/bin", "etc", "proc", "tmp", "root"].into_iter().map(ToOwned::to_owned);
        for place in places.chain(mounts.iter().map(|mount| mount.target.clone())) {
            tokio::fs::create_dir_all(folder.join(place)).await?;
        }
        std::fs::set_permissions(folder.join("tmp"), PermissionsExt::from_mode(0o1777))?;
        std::fs::write(folder.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        let image = self.folder.path().join("image");
        std::fs::hard_link(image.join("agent"), folder.join("usr/bin/runner-agent"))?;
        done(Command::new("cp").arg("-a").arg(image.join("dev")).arg(folder)).await?;
        std::fs::write(termination_log(folder), "")?;
        Ok(())
    }

    /// Starts `command` in the root that is in `folder`.
    pub(super) fn start(&self, folder: &Path, mounts: &[Mount], command: &[String]) -> io::Result<Child> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter"]).arg(folder);
        unshare.arg(self.folder.path().join("image/bin")).args(["bin", "ro"]);
        for mount in mounts {
            unshare.arg(&mount.source).arg(&mount.target).arg(if mount.is_read_only { "ro" } else { "rw" });
        }
        unshare.arg("--").args(command);
        unshare.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        unshare.env("HOME", "/root");
        unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        unshare.spawn()
    }
}

/// Where a container leaves its last words.
pub(super) fn termination_log(root: &Path) -> PathBuf {
    root.join("dev/termination-log")
}

/// Sends a signal to the first process of a container, whose `unshare` has this number.
pub(super) async fn signal(unshare: u32, name: &str) -> io::Result<()> {
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let first = tokio::fs::read_to_string(children).await?;
    let first = first.split_whitespace().next().ok_or_else(|| io::Error::other("it has ended"))?;
    done(Command::new("kill").args(["-s", name, first])).await?;
    Ok(())
}

async fn done(command: &mut Command) -> io::Result<Output> {
    let output = command.stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{:?}: {said}", command.as_std())))
}
