//! `runner register`, `verify` and `unregister`, with a GitLab server.

use std::{path::PathBuf, process::Output};

use anyhow::{Context, Result};
use runner_testkit::gitlab::{Endpoint, Fault, GitLab, Settings, Tls};
use tempfile::TempDir;

/// What stands in the config before: it must be there afterwards, letter for letter.
const BEFORE: &str = "# Ours.\nconcurrent = 4 # all of them\n\n[[runners]]\n  name = \"old\" # the first\n  url = \"URL\"\n  \
     token = \"glrt-old-0000000000000000\"\n  executor = \"shell\"\n";

/// How the program ended, and what it said on stdout and on stderr.
type Ran = (i32, String, String);

/// A server, and a config of its own.
struct Desk {
    gitlab: GitLab,
    folder: TempDir,
}

impl Desk {
    async fn new(tls: Tls) -> Result<Self> {
        let gitlab = GitLab::start_with(Settings { tls, ..Settings::default() }).await?;
        let desk = Self { gitlab, folder: TempDir::new()? };
        desk.gitlab.add_runner("glrt-old-0000000000000000");
        fs_err::write(desk.config(), desk.before())?;
        Ok(desk)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn before(&self) -> String {
        BEFORE.replace("URL", self.gitlab.url())
    }

    fn text(&self) -> Result<String> {
        Ok(fs_err::read_to_string(self.config())?)
    }

    /// Runs the program.
    async fn run(&self, words: &[&str]) -> Result<Ran> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(words).env_clear().env("HOME", self.folder.path()).env("CONFIG_FILE", self.config());
        let Output { status, stdout, stderr } = command.output().await?;
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes);
            text.replace(&self.folder.path().display().to_string(), "<folder>")
                .replace(self.gitlab.url(), "<url>")
        };
        Ok((status.code().context("it was killed")?, text(stdout), text(stderr)))
    }

    async fn register(&self, words: &[&str]) -> Result<Ran> {
        let first = ["register", "--non-interactive", "--url", self.gitlab.url(), "--name", "new"];
        self.run(&[&first, words].concat()).await
    }
}

#[tokio::test]
async fn a_runner_with_a_token_of_gitlabs_pages_is_added_and_the_rest_stays() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.runner_token();
    let (status, stdout, stderr) =
        desk.register(&["--token", token, "--executor", "kubernetes"]).await.unwrap();
    assert_eq!((status, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @r#"
    Verifying runner... is valid  runner=t1_test-r
    Runner registered successfully. It is "new" in <folder>/config.toml, and a manager that runs takes it up by itself.
    "#);
    let text = desk.text().unwrap();
    let added = text.strip_prefix(&desk.before()).expect("not a letter before it changes");
    insta::assert_snapshot!(added.replace(desk.gitlab.url(), "<url>"), @r#"

    [[runners]]
    name = "new"
    url = "<url>"
    token = "glrt-t1_test-runner-0001"
    executor = "kubernetes"
    id = 1
    "#);
    let said =
        desk.gitlab.requests().into_iter().find(|request| request.endpoint == Endpoint::Verify).unwrap();
    assert_eq!(said.body["info"]["executor"], "kubernetes");
    assert_eq!(said.body["info"]["features"]["image"], true);
}

#[tokio::test]
async fn an_old_registration_token_makes_a_runner_and_is_not_kept() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.registration_token();
    let words = ["--registration-token", &token, "--executor", "shell", "--tag-list", "a,b"];
    let (status, stdout, stderr) = desk.register(&words).await.unwrap();
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("Registering runner... succeeded  runner="), "{stdout}");
    let text = desk.text().unwrap();
    assert!(text.starts_with(&desk.before()) && text.contains("token = \"glrtr-"), "{text}");
    assert!(!text.contains(&token), "{text}");
    let said =
        desk.gitlab.requests().into_iter().find(|request| request.endpoint == Endpoint::Register).unwrap();
    assert_eq!((&said.body["tag_list"], &said.body["run_untagged"]), (&"a,b".into(), &false.into()));
    assert_eq!(said.body["description"], "new");
}

#[tokio::test]
async fn a_token_that_the_server_does_not_know_is_one_line_and_changes_nothing() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let (status, stdout, stderr) =
        desk.register(&["--token", "glrt-wrong-000000000000", "--executor", "shell"]).await.unwrap();
    assert_eq!((status, stdout.as_str()), (2, ""));
    insta::assert_snapshot!(stderr, @"error: failed to register the runner: the server does not know the token (server <url>, hint make a new runner in GitLab, and use the token that it shows)");
    let (status, _, stderr) =
        desk.register(&["--registration-token", "GR1348941wrong", "--executor", "shell"]).await.unwrap();
    assert_eq!((status, stderr.lines().count()), (2, 1), "{stderr}");
    assert!(stderr.contains("make the runner in GitLab") && !stderr.contains("wrong"), "{stderr}");
    assert_eq!(desk.text().unwrap(), desk.before());
}

#[tokio::test]
async fn what_a_manager_would_refuse_is_not_registered() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.runner_token();
    for (words, hint) in
        [(vec![], "executor"), (vec!["--executor", "docker"], "the executor \"docker\" is refused")]
    {
        let (status, _, stderr) = desk.register(&[vec!["--token", token], words].concat()).await.unwrap();
        assert_eq!((status, stderr.lines().count()), (2, 1), "{stderr}");
        assert!(stderr.contains(hint) && !stderr.contains(token), "{stderr}");
    }
    let (status, _, stderr) = desk.run(&["register", "--token", token]).await.unwrap();
    assert_eq!((status, stderr.as_str()), (2, "error: name the server: --url https://gitlab.example.com\n"));
    assert_eq!((desk.gitlab.count(Endpoint::Verify), desk.text().unwrap()), (0, desk.before()));
}

#[tokio::test]
async fn no_account_is_made_that_could_not_be_written_down() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.registration_token();
    // Nobody can make a file there, not even root.
    let words = ["--registration-token", &token, "--executor", "shell", "--config", "/proc/self/config.toml"];
    let (status, stdout, stderr) = desk.register(&words).await.unwrap();
    assert_eq!((status, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
    assert!(stderr.contains("failed to write the config: /proc/self/config.toml"), "{stderr}");
    assert_eq!(desk.gitlab.count(Endpoint::Register), 0);
}

#[tokio::test]
async fn a_server_with_an_authority_of_its_own_is_trusted_with_its_file() {
    let desk = Desk::new(Tls::Server).await.unwrap();
    let ca = desk.folder.path().join("ca.pem");
    fs_err::write(&ca, desk.gitlab.authority().unwrap()).unwrap();
    let words = ["--token", desk.gitlab.runner_token(), "--executor", "shell"];
    let (status, _, stderr) = desk.register(&words).await.unwrap();
    assert!(status == 3 && stderr.contains("tls-ca-file"), "{status} {stderr}");
    let ca = ca.display().to_string();
    let (status, _, stderr) = desk.register(&[&words[..], &["--tls-ca-file", &ca]].concat()).await.unwrap();
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert!(desk.text().unwrap().contains(&format!("tls-ca-file = \"{ca}\"")), "{}", desk.text().unwrap());
    let (status, stdout, stderr) = desk.run(&["verify", "--name", "new"]).await.unwrap();
    assert_eq!(
        (status, stdout.as_str(), stderr.as_str()),
        (0, "Verifying runner... is valid  runner=t1_test-r\n", "")
    );
}

#[tokio::test]
async fn a_runner_that_the_server_forgot_is_told_and_taken_out_only_when_asked() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.runner_token();
    desk.register(&["--token", token, "--executor", "shell"]).await.unwrap();
    desk.gitlab.revoke_runner(token);
    let both = desk.text().unwrap();
    let (status, stdout, stderr) = desk.run(&["verify"]).await.unwrap();
    assert_eq!((status, stderr.lines().count(), desk.text().unwrap()), (2, 1, both.clone()), "{stderr}");
    insta::assert_snapshot!(stdout, @"
    Verifying runner... is valid  runner=old-00000
    Verifying runner... is removed  runner=t1_test-r
    ");
    desk.gitlab.fail(Endpoint::Verify, vec![Fault::Status(502); 20]);
    let (status, _, stderr) = desk.run(&["verify", "--delete"]).await.unwrap();
    assert!(status == 3 && stderr.contains("runner \"old\": failed to"), "{status} {stderr}");
    assert_eq!(desk.text().unwrap(), both, "a server that does not answer has not forgotten anybody");
    let left = desk.gitlab.faults_left();
    assert!(left >= 18, "nobody repeats the question: {left}");
}

#[tokio::test]
async fn a_runner_that_the_server_forgot_is_taken_out_of_the_config() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let token = desk.gitlab.runner_token();
    desk.register(&["--token", token, "--executor", "shell"]).await.unwrap();
    desk.gitlab.revoke_runner(token);
    let (status, stdout, _) = desk.run(&["verify", "--delete"]).await.unwrap();
    assert!(status == 0 && stdout.ends_with("Updated <folder>/config.toml\n"), "{status} {stdout}");
    assert_eq!(desk.text().unwrap(), desk.before());
}

#[tokio::test]
async fn a_runner_is_unregistered_by_its_name_and_its_neighbours_stay() {
    let desk = Desk::new(Tls::None).await.unwrap();
    desk.register(&["--token", desk.gitlab.runner_token(), "--executor", "shell"]).await.unwrap();
    let (status, stdout, stderr) = desk.run(&["unregister", "--name", "new"]).await.unwrap();
    assert_eq!((status, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout, @"
    Unregistering runner from GitLab succeeded  runner=t1_test-r
    Updated <folder>/config.toml
    ");
    assert_eq!((desk.text().unwrap(), desk.gitlab.count(Endpoint::UnregisterManager)), (desk.before(), 1));
    let (status, _, stderr) = desk.run(&["unregister", "--name", "new"]).await.unwrap();
    assert!(status == 2 && stderr.contains("`runner list`"), "{stderr}");
    let (status, _, stderr) = desk.run(&["unregister"]).await.unwrap();
    assert!(status == 2 && stderr.contains("--all-runners"), "{stderr}");
}

#[tokio::test]
async fn all_runners_are_unregistered_at_once_and_one_whose_server_fails_stays() {
    let desk = Desk::new(Tls::None).await.unwrap();
    let registration_token = desk.gitlab.registration_token();
    desk.register(&["--registration-token", &registration_token, "--executor", "shell"]).await.unwrap();
    desk.gitlab.fail(Endpoint::Unregister, [Fault::Status(502)]);
    let (status, _, stderr) = desk.run(&["unregister", "--all-runners"]).await.unwrap();
    assert!(status == 3 && stderr.contains("runner \"new\": failed to unregister"), "{stderr}");
    assert!(
        desk.text().unwrap().contains("name = \"new\"") && !desk.text().unwrap().contains("old"),
        "{}",
        desk.text().unwrap()
    );
    let (status, _, stderr) = desk.run(&["unregister", "--all-runners"]).await.unwrap();
    assert_eq!(
        (status, stderr.as_str(), desk.text().unwrap().as_str()),
        (0, "", "# Ours.\nconcurrent = 4 # all of them\n")
    );
}
