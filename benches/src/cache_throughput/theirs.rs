//! What everybody has: one archive, one PUT, one GET.

use std::{
    ffi::OsStr,
    fs::File,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use runner_cache::{Transfer, transfer::Content};
use runner_core::{CacheBackend, CacheFormat};
use tokio::{io::AsyncWriteExt as _, time::Instant};
use wait4::Wait4;

use super::{
    Places,
    report::Figures,
    store::{Store, scope},
};

/// Today's usual way, as an archiver.
pub(crate) const TAR: &str = "tar-zstd";
const SAVE: &str = r#"tar -C "$1" -cf - . | zstd -3 -T0 -qq -f -o "$2""#;

/// Measures an archiver with one PUT and one GET. It has no idea of what did not change, so these figures are those of the
/// first save.
pub(crate) async fn measure(
    archiver: &str,
    store: &Store,
    project: &str,
    places: &Places,
) -> Result<Figures> {
    let begun = Instant::now();
    let peak = archive(archiver, places)?;
    let bytes = put(store, project, places).await?;
    let save_ms = milliseconds(begun.elapsed());
    fs_err::remove_file(&places.archive)?;
    places.empty()?;
    let begun = Instant::now();
    if archiver == TAR {
        get_unpacked(store, project, places).await?;
    } else {
        get_unpacked_by(archiver, store, project, places).await?;
    }
    let restore_ms = milliseconds(begun.elapsed());
    places.check().await?;
    Ok(Figures {
        save_ms,
        restore_ms,
        unchanged_ms: save_ms,
        changed_ms: save_ms,
        saved_bytes: bytes,
        unchanged_bytes: bytes,
        changed_bytes: bytes,
        peak_rss_kb: peak / 1024,
        requests: 1,
    })
}

/// Measures one PUT and one GET of the files as they are.
pub(crate) async fn one_connection(store: &Store, project: &str, places: &Places) -> Result<Figures> {
    let status =
        Command::new("tar").arg("-C").arg(&places.tree).arg("-cf").arg(&places.archive).arg(".").status()?;
    ensure!(status.success(), "tar ended with {status}");
    let begun = Instant::now();
    let bytes = put(store, project, places).await?;
    let save_ms = milliseconds(begun.elapsed());
    let begun = Instant::now();
    get(store, project, &mut tokio::io::sink()).await?;
    let restore_ms = milliseconds(begun.elapsed());
    fs_err::remove_file(&places.archive)?;
    Ok(Figures { save_ms, restore_ms, saved_bytes: bytes, ..Figures::default() })
}

pub(crate) fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// Makes the archive. Returns the peak of memory, in bytes.
fn archive(archiver: &str, places: &Places) -> Result<u64> {
    let mut command =
        if archiver == TAR { shell(SAVE) } else { shell(&format!(r#"{archiver} save "$1" "$2""#)) };
    let child = command.arg(&places.tree).arg(&places.archive).spawn()?;
    let used = child.wait4()?;
    ensure!(used.status.success(), "{archiver} ended with {}", used.status);
    Ok(used.rusage.maxrss)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args([OsStr::new("-c"), OsStr::new(script), OsStr::new("sh")]).stdout(Stdio::null());
    command
}

async fn put(store: &Store, project: &str, places: &Places) -> Result<u64> {
    let grant = store.cache(CacheFormat::Zip)?.begin(&scope(project), "plain", &[]).await?;
    let object = grant.objects.first().context("there is no place for it")?;
    let file = File::open(&places.archive)?;
    let size = file.metadata()?.len();
    Transfer::default().write(&object.location, &Content::File(Arc::new(file), size)).await?;
    Ok(size)
}

async fn get(store: &Store, project: &str, output: &mut (impl tokio::io::AsyncWrite + Unpin)) -> Result<()> {
    let grant = store.cache(CacheFormat::Zip)?.lookup(&scope(project), "plain", &[]).await?;
    let grant = grant.context("it is not there")?;
    let object = grant.objects.first().context("there is no place for it")?;
    let transfer = Transfer::default();
    let mut body = transfer.read_whole(&object.location);
    while let Some(bytes) = body.next().await? {
        output.write_all(&bytes).await?;
    }
    output.flush().await?;
    Ok(())
}

/// Unpacks while it comes.
async fn get_unpacked(store: &Store, project: &str, places: &Places) -> Result<()> {
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", r#"zstd -dcqq | tar -C "$1" -xf -"#, "sh"]).arg(&places.to).stdin(Stdio::piped());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("it takes no input")?;
    get(store, project, &mut input).await?;
    drop(input);
    let status = child.wait().await?;
    ensure!(status.success(), "tar ended with {status}");
    Ok(())
}

async fn get_unpacked_by(archiver: &str, store: &Store, project: &str, places: &Places) -> Result<()> {
    let mut file = tokio::fs::File::create(&places.archive).await?;
    get(store, project, &mut file).await?;
    let status =
        shell(&format!(r#"{archiver} restore "$1" "$2""#)).arg(&places.archive).arg(&places.to).status()?;
    fs_err::remove_file(&places.archive)?;
    ensure!(status.success(), "{archiver} ended with {status}");
    Ok(())
}
