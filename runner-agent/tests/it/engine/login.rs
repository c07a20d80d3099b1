//! Logins, with a server that asks for one.

use std::{
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex},
};

use runner_core::{FailureReason, job::Variable};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Bench, Result, sources::Origin};

/// `ci:hunter2`, as HTTP sends it.
const LOGIN: &str = "Basic Y2k6aHVudGVyMg==";

/// What was asked for, and with which login.
type Requests = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A server of repositories that are plain files, which wants a login.
struct Server {
    address: String,
    requests: Requests,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(folder: PathBuf, open: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (folder, seen) = (folder.clone(), Arc::clone(&seen));
                answers.spawn(async move { answer(stream, &folder, open, &seen).await.ok() });
            }
        });
        Ok(Self { address, requests, _tasks: tasks })
    }

    fn logins(&self) -> Vec<Option<String>> {
        let requests = self.requests.lock().map(|requests| requests.clone()).unwrap_or_default();
        requests.into_iter().map(|(_, login)| login).collect()
    }
}

async fn answer(stream: TcpStream, folder: &Path, open: bool, seen: &Requests) -> Result {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut login = None;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                login = Some(value.trim().to_owned());
            }
            _ => {}
        }
    }
    let allowed = open || login.as_deref() == Some(LOGIN);
    if let Ok(mut seen) = seen.lock() {
        seen.push((path.clone(), login));
    }
    let relative = Path::new(path.trim_start_matches('/'));
    let climbs = relative.components().any(|part| part == Component::ParentDir);
    let file = if climbs { None } else { std::fs::read(folder.join(relative)).ok() };
    let (status, body) = match (allowed, file) {
        (false, _) => ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"", Vec::new()),
        (true, Some(body)) => ("200 OK", body),
        (true, None) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await?;
    Ok(())
}

/// A job whose repository, and a submodule of it, are on a server that wants a login.
async fn bench(script: &[&str]) -> Result<(Bench, Server)> {
    let mut bench = Bench::new(script)?;
    let folder = bench.folder.path().join("served");
    let server = Server::start(folder.clone(), false).await?;
    let sub = Origin::new(folder.join("sub"), &[])?;
    sub.write("file", "of the submodule\n")?;
    sub.commit("sub")?;
    let origin = Origin::new(folder.join("main"), &[])?;
    origin.write("file", "one\n")?;
    origin.git(&["submodule", "--quiet", "add", &sub.url(), "sub"])?;
    let host = server.address.split(':').next().unwrap_or_default();
    origin.git(&["config", "--file", ".gitmodules", "submodule.sub.url", &format!("git@{host}:sub/.git")])?;
    bench.job.git.sha = origin.commit("first")?;
    for origin in [&sub, &origin] {
        origin.git(&["update-server-info"])?;
    }
    bench.job.git.repo_url = format!("http://ci:hunter2@{}/main/.git", server.address);
    bench.job.git.refspecs = vec!["+refs/heads/*:refs/remotes/origin/*".into()];
    Ok((bench, server))
}

#[tokio::test]
async fn the_login_is_given_to_its_own_server_and_for_submodules_there() -> Result {
    let (bench, server) =
        bench(&["cat file sub/file", "cat .git/config; grep -r hunter[2] . ../* || true"]).await?;
    let bench =
        bench.variable("GIT_SUBMODULE_STRATEGY", "normal").variable("GIT_SUBMODULE_FORCE_HTTPS", "true");
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["one", "of the submodule"])?;
    assert!(!seen.log.contains("hunter2"), "{}", seen.log);
    assert!(server.logins().iter().flatten().all(|login| login == LOGIN));
    Ok(())
}

#[tokio::test]
async fn another_server_does_not_get_the_login() -> Result {
    let (bench, _server) = bench(&["true"]).await?;
    let other = Server::start(bench.folder.path().join("served"), true).await?;
    let bench = bench
        .variable("GIT_SUBMODULE_STRATEGY", "normal")
        .variable("GIT_CONFIG_COUNT", "1")
        .variable("GIT_CONFIG_KEY_0", format!("url.http://{}/.insteadOf", other.address))
        .variable("GIT_CONFIG_VALUE_0", "git@127.0.0.1:");
    bench.run().await?.succeeded()?;
    let logins = other.logins();
    assert!(!logins.is_empty() && logins.iter().all(Option::is_none), "{logins:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_login_fails_without_asking_anybody() -> Result {
    let (mut bench, _server) = bench(&["true"]).await?;
    bench.job.git.repo_url = bench.job.git.repo_url.replace("hunter2", "wrong-one");
    let helper = "!f() { echo username=ci; echo password=hunter2; touch asked; }; f";
    let home = bench.folder.path().join("home");
    std::fs::create_dir_all(&home)?;
    std::fs::write(home.join(".gitconfig"), format!("[credential]\n\thelper = \"{helper}\"\n"))?;
    let seen = bench.run().await?;
    seen.failed(FailureReason::RunnerSystemFailure)?;
    assert!(!seen.log.contains("wrong-one"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn a_script_fetches_with_the_jobs_token() -> Result {
    let (mut bench, _server) = bench(&["git fetch origin && echo fetched"]).await?;
    bench.job.variables.push(Variable::raw("CI_JOB_TOKEN", "hunter2"));
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["fetched"])
}
