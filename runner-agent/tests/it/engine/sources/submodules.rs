//! Submodules, with real git.

use super::*;

/// Lets git fetch submodules from local paths.
fn local_submodules(bench: Bench) -> Bench {
    bench
        .variable("GIT_CONFIG_COUNT", "1")
        .variable("GIT_CONFIG_KEY_0", "protocol.file.allow")
        .variable("GIT_CONFIG_VALUE_0", "always")
}

#[tokio::test]
async fn submodules_are_checked_out_as_deep_as_wanted() -> Result {
    let (bench, origin) = bench(&["cat sub/file sub/inner/file || true; cat 'other sub/file' || true"])?;
    let inner = Origin::new(bench.folder.path().join("inner"), &[])?;
    inner.write("file", "inner\n")?;
    inner.commit("inner")?;
    let sub = Origin::new(bench.folder.path().join("sub"), &[])?;
    sub.write("file", "sub\n")?;
    sub.git(&["submodule", "--quiet", "add", &inner.url(), "inner"])?;
    sub.commit("sub")?;
    origin.git(&["submodule", "--quiet", "add", "../sub", "sub"])?;
    origin.git(&["submodule", "--quiet", "add", "../inner", "other sub"])?;
    let head = origin.commit("with submodules")?;
    let mut bench = local_submodules(bench);
    point(&mut bench, &origin, &head);
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("\nsub\n"), "{}", seen.log);

    let mut bench = bench.variable("GIT_SUBMODULE_STRATEGY", "normal");
    let seen = bench.run().await?;
    seen.says(&["sub"])?;
    assert_eq!(seen.log.matches("\ninner\n").count(), 1, "{}", seen.log);

    // Over what the last run left, with files in the way and a newer submodule.
    sub.write("file", "newer\n")?;
    sub.commit("newer")?;
    origin.git(&["-C", "sub", "pull", "--quiet"])?;
    let head = origin.commit("newer submodule")?;
    point(&mut bench, &origin, &head);
    fs::write(bench.project().join("sub/file"), "changed")?;
    fs::write(bench.project().join("sub/new"), "new")?;
    let bench = bench.variable("GIT_SUBMODULE_STRATEGY", "recursive").variable("GIT_SUBMODULE_DEPTH", "1");
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["newer", "inner", "inner"])?;
    assert!(!bench.project().join("sub/new").exists());

    let bench = bench.variable("GIT_SUBMODULE_PATHS", ":(exclude)sub").variable("GIT_STRATEGY", "clone");
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("\nnewer\n") && seen.log.contains("inner\n"), "{}", seen.log);
    let seen = bench.variable("GIT_SUBMODULE_STRATEGY", "deep").run().await?;
    seen.failed(FailureReason::ConfigurationError)?;
    Ok(())
}

#[tokio::test]
async fn submodules_of_a_copy_are_found_beside_its_home() -> Result {
    let (bench, origin) = bench(&["cat sub/file sub/inner/file; git remote get-url origin"])?;
    let inner = Origin::new(bench.folder.path().join("inner"), &[])?;
    inner.write("file", "inner\n")?;
    inner.commit("inner")?;
    // Beside the submodule there is another one than beside the project.
    let sub = Origin::new(bench.folder.path().join("group/sub"), &[])?;
    let beside = Origin::new(bench.folder.path().join("group/inner"), &[])?;
    beside.write("file", "beside\n")?;
    beside.commit("beside")?;
    sub.write("file", "sub\n")?;
    sub.git(&["submodule", "--quiet", "add", "../inner", "inner"])?;
    sub.commit("sub")?;
    origin.git(&["submodule", "--quiet", "add", "../group/sub", "sub"])?;
    let head = origin.commit("with submodules")?;
    let copy = Origin::new(bench.folder.path().join("elsewhere/deep/copy"), &[])?;
    copy.git(&[
        "fetch",
        "--quiet",
        "--no-recurse-submodules",
        &origin.url(),
        "main:main",
        "--update-head-ok",
    ])?;
    let mut bench = local_submodules(bench).variable("GIT_SUBMODULE_STRATEGY", "recursive");
    point(&mut bench, &copy, &head);
    bench.job.git.home_url = Some(origin.url());
    // The second time over what the first left.
    for time in ["first", "second"] {
        let seen = bench.run().await?;
        seen.succeeded()?;
        seen.says(&["sub", "beside", &copy.url()]).map_err(|error| format!("the {time} time: {error}"))?;
    }
    Ok(())
}
