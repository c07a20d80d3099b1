//! The part of a snapshot that is sent to jobs which cannot reach this machine.

use std::{fs, path::Path};

use runner_core::job::GitInfo;
use runner_pipeline::{PipelineEvent, Snapshot};

use crate::{
    snapshot::{snapshot, snapshot_of},
    work_tree::{Outcome, WorkTree, files, git},
};

/// Copies what is shipped for `info`, and tells how a job fetches the copy.
async fn ship(snapshot: &Snapshot, info: &GitInfo, place: &Path) -> Outcome<GitInfo> {
    let shipment = snapshot.shipment(info).await?;
    for file in &shipment.files {
        let copy = place.join(file);
        fs::create_dir_all(copy.parent().ok_or("no parent")?)?;
        fs::copy(shipment.root.join(file), copy)?;
    }
    // Git takes nothing for a repository that has no such folder.
    fs::create_dir_all(place.join("refs"))?;
    Ok(GitInfo { repo_url: format!("file://{}", place.display()), ..info.clone() })
}

fn dirty() -> Outcome<WorkTree> {
    let tree = WorkTree::with_commit()?;
    for name in ["second", "third"] {
        tree.write(name, name)?;
        tree.commit(name)?;
    }
    tree.git(&["tag", "-a", "v1", "-m", "v1"])?;
    tree.git(&["branch", "other", "HEAD~1"])?;
    tree.write("file", "changed\n")?;
    tree.write("new", "new\n")?;
    Ok(tree)
}

#[tokio::test]
async fn a_shipment_needs_nothing_of_the_snapshot() -> Outcome {
    for (depth, commits) in [(Some(2), "2"), (Some(0), "3")] {
        let tree = dirty()?;
        let taken = snapshot(&tree).await?;
        let info = taken.git_info(depth);
        let shipped = ship(&taken, &info, &tree.beside("copy")).await?;
        drop(taken);
        fs::rename(tree.root(), tree.beside("away"))?;
        let place = tree.check_out(&shipped, "job")?;
        assert_eq!(files(&place)?, ["file", "new", "second", "third"]);
        assert_eq!(fs::read_to_string(place.join("file"))?, "changed\n");
        assert_eq!(git(&place, &["rev-list", "--count", "HEAD"])?, commits);
        let branches = git(&place, &["branch", "--remotes"])?;
        assert_eq!(branches.contains("origin/other"), depth == Some(0), "{branches}");
    }
    Ok(())
}

#[tokio::test]
async fn what_jobs_want_alike_is_packed_once() -> Outcome {
    let tree = dirty()?;
    let taken = snapshot(&tree).await?;
    let one = taken.shipment(&taken.git_info(None)).await?;
    assert_eq!(one, taken.shipment(&taken.git_info(None)).await?);
    assert_ne!(one.root, taken.shipment(&taken.git_info(Some(1))).await?.root);
    assert_eq!(
        one.files.iter().filter(|file| Path::new(file).extension().is_some_and(|end| end == "pack")).count(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn a_shallow_clone_can_be_shipped() -> Outcome {
    let tree = dirty()?;
    let url = format!("file://{}", tree.root().display());
    git(tree.root(), &["clone", "--quiet", "--depth=2", &url, &tree.beside("shallow").to_string_lossy()])?;
    for depth in [None, Some(0)] {
        let taken =
            snapshot_of(&tree.beside("shallow"), &tree.beside("scratch"), PipelineEvent::Push).await?;
        let place = tree.beside(&format!("copy-{}", depth.is_some()));
        let shipped = ship(&taken, &taken.git_info(depth), &place).await?;
        let shallow = fs::read_to_string(place.join("shallow"))?;
        assert_eq!(shallow.lines().count(), 1);
        // What is complete as far as it goes is fetched as far as it goes.
        let shipped = GitInfo { depth: 20, ..shipped };
        let job = tree.check_out(&shipped, &format!("job-{}", depth.is_some()))?;
        assert_eq!(git(&job, &["rev-list", "--count", "HEAD"])?, "2");
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_without_a_commit_can_be_shipped() -> Outcome {
    let tree = WorkTree::new()?;
    tree.write("file", "one\n")?;
    let taken = snapshot(&tree).await?;
    let shipped = ship(&taken, &taken.git_info(None), &tree.beside("copy")).await?;
    assert_eq!(files(&tree.check_out(&shipped, "job")?)?, ["file"]);
    Ok(())
}
