//! `GIT_CLONE_PATH`: where a job wants its work tree.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use fs_err as fs;
use runner_core::FailureReason;

use super::{EngineSettings, Places, course::Obstacle};

/// The work tree that `wanted` names, which must be inside the builds directory, and apart from our own files.
pub(crate) fn check(wanted: &str, places: &Places, settings: &EngineSettings) -> Result<PathBuf, Obstacle> {
    let refused = |why: &str| {
        let message = format!("GIT_CLONE_PATH is {wanted:?}, but {why}");
        Obstacle::failed(FailureReason::ConfigurationError, message)
    };
    let builds = &settings.builds_dir;
    let path = Path::new(wanted);
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || climbs || !path.starts_with(builds) || builds.as_os_str().is_empty() {
        return Err(refused("it must be a path inside CI_BUILDS_DIR"));
    }
    let path: PathBuf = path.components().collect();
    if path == *builds || places.temporary.starts_with(&path) || path.starts_with(&places.temporary) {
        return Err(refused("there are the runner's own files"));
    }
    match resolves_inside(&path, builds) {
        Ok(true) => Ok(path),
        Ok(false) => Err(refused("a link on the way leads out of CI_BUILDS_DIR")),
        Err(error) => Err(refused(&format!("it cannot be looked at: {error}"))),
    }
}

/// Whether the part of `path` that exists is really inside `folder`.
fn resolves_inside(path: &Path, folder: &Path) -> io::Result<bool> {
    let folder = fs::canonicalize(folder)?;
    for ancestor in path.ancestors() {
        match fs::symlink_metadata(ancestor) {
            Ok(_) => return Ok(fs::canonicalize(ancestor)?.starts_with(&folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_tree_stays_inside_the_builds_directory() {
        let builds = tempfile::tempdir().unwrap();
        let root = builds.path().to_owned();
        fs_err::os::unix::fs::symlink("/tmp", root.join("out")).unwrap();
        let places =
            Places { root: root.clone(), project: root.join("project"), temporary: root.join("project.tmp") };
        let settings = EngineSettings { builds_dir: root.clone(), ..EngineSettings::default() };
        let check = |wanted: &str, expected: bool| {
            let wanted = wanted.replace("{}", &root.to_string_lossy());
            assert_eq!(check(&wanted, &places, &settings).is_ok(), expected, "{wanted}");
        };
        check("{}/go/src/a", true);
        check("{}/./go/", true);
        check("{}", false);
        check("{}/../x", false);
        check("/etc", false);
        check("relative", false);
        check("{}/out/x", false);
        check("{}/project.tmp/x", false);
        check("{}x/a", false);
    }
}
